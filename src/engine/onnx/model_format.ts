/** @file The part of ONNX's file format (onnx.proto3) that our graphs need, written with protobufjs. */
import protobuf from 'protobufjs';
import type { ValueInfo } from '../lazy/value.js';

/** ONNX's numbers of the element types in use (TensorProto.DataType). */
export const ELEMENT_TYPE = { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 } as const;
export type ElementType = keyof typeof ELEMENT_TYPE;

/** Shape and type of a tensor. */
export interface TensorInfo {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
}

const infos = new Map<string, TensorInfo>();

/** Returns the same object for equal types and shapes, so that it can be a key. */
export function sharedInfo<T extends TensorInfo>({ shape, dtype }: T): T {
  const key = `${dtype}[${shape}]`;
  const info = infos.get(key) ?? { shape, dtype };
  infos.set(key, info);
  return info as T;
}

/** Domain of the operators that only ONNX Runtime has. */
export const CONTRIB_DOMAIN = 'com.microsoft';
/** Domain of the native kernels. */
export const NATIVE_DOMAIN = 'stmixer';

/** Version of the ai.onnx operator set that the operators here follow. */
const OPSET = 20;
/** Version of the file format for this operator set. */
const IR_VERSION = 9;

const { root } = protobuf.parse(
  `syntax = "proto3";
  message Model { int64 ir_version = 1; Graph graph = 7; repeated OperatorSet opset_import = 8; }
  message OperatorSet { string domain = 1; int64 version = 2; }
  message Graph {
    repeated Node node = 1; string name = 2; repeated Tensor initializer = 5;
    repeated ValueInfo input = 11; repeated ValueInfo output = 12; repeated ValueInfo value_info = 13;
  }
  message Node {
    repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated Attribute attribute = 5; string domain = 7;
  }
  message Attribute {
    string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated float floats = 7; repeated int64 ints = 8;
    int32 type = 20;
  }
  message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
  message ValueInfo { string name = 1; Type type = 2; }
  message Type { TensorType tensor_type = 1; }
  message TensorType { int32 elem_type = 1; Shape shape = 2; }
  message Shape { repeated Dimension dim = 1; }
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }`,
  { keepCase: true },
);
const Model = root.lookupType('Model');

/** A float attribute; plain numbers are integer attributes. */
export class Float {
  constructor(readonly value: number) {}
}
/** A list of floats as an attribute; plain lists are lists of integers. */
export class Floats {
  constructor(readonly values: readonly number[]) {}
}
export type AttributeValue = number | string | readonly number[] | Float | Floats;
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

export interface OnnxNode {
  name: string;
  op: string;
  domain: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Attributes;
  /** Shapes and types of the outputs, for operators that the runtime knows nothing about. */
  results?: readonly ValueInfo[];
}

export interface OnnxValue {
  name: string;
  type: ElementType;
  shape: readonly number[];
}

export interface OnnxConstant extends OnnxValue {
  bytes: Uint8Array;
}

export interface OnnxGraph {
  nodes: readonly OnnxNode[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  constants: readonly OnnxConstant[];
}

/** Encodes a graph as the bytes of a model file. */
export function encodeModel({ nodes, inputs, outputs, constants }: OnnxGraph): Uint8Array {
  return Model.encode({
    ir_version: IR_VERSION,
    opset_import: [
      { domain: '', version: OPSET },
      { domain: CONTRIB_DOMAIN, version: 1 },
      { domain: NATIVE_DOMAIN, version: 1 },
    ],
    graph: {
      name: 'graph',
      node: nodes.map(({ name, op, domain, inputs, outputs, attributes }) => ({
        name,
        op_type: op,
        domain,
        input: inputs,
        output: outputs,
        attribute: Object.entries(attributes).flatMap(([key, value]) =>
          value === undefined ? [] : [encodeAttribute(key, value)],
        ),
      })),
      initializer: constants.map(({ name, type, shape, bytes }) => ({
        name,
        dims: shape,
        data_type: ELEMENT_TYPE[type],
        raw_data: bytes,
      })),
      input: inputs.map(encodeValue),
      output: outputs.map(encodeValue),
      // The runtime needs shapes to use memory again.
      value_info: nodes.flatMap(({ outputs, results = [] }) =>
        results.map(({ shape, dtype }, i) => encodeValue({ name: outputs[i], shape, type: dtype })),
      ),
    },
  }).finish();
}

function encodeValue({ name, type, shape }: OnnxValue) {
  const dim = shape.map((size) => ({ dim_value: size }));
  return { name, type: { tensor_type: { elem_type: ELEMENT_TYPE[type], shape: { dim } } } };
}

function encodeAttribute(name: string, value: AttributeValue) {
  if (value instanceof Float) return { name, type: 1, f: value.value };
  if (typeof value === 'number') return { name, type: 2, i: value };
  if (typeof value === 'string') return { name, type: 3, s: Buffer.from(value) };
  if (value instanceof Floats) return { name, type: 6, floats: value.values };
  return { name, type: 7, ints: value };
}
