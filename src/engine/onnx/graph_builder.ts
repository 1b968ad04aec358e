/** @file Builds an ONNX graph: operators, names, constants, and views in other shapes. */
import { bytesOf } from '../../util/bytes.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import {
  type Attributes,
  CONTRIB_DOMAIN,
  ELEMENT_TYPE,
  type ElementType,
  Floats,
  NATIVE_DOMAIN,
  type OnnxConstant,
  type OnnxNode,
} from './model_format.js';

/** An input of an operation: the name of a value, and the shape and type in which to read it. */
export interface Operand extends ValueInfo {
  readonly name: string;
}

/** Results and attributes of a native operator. */
export interface NativeCall {
  readonly results: readonly ValueInfo[];
  readonly ints?: readonly number[];
  readonly floats?: readonly number[];
}

/** A node before it has a place in a graph. */
export type NewNode = Omit<OnnxNode, 'name' | 'outputs'>;

export class GraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxConstant[] = [];
  readonly #constantNames = new Map<string, string>();
  readonly #made = new Map<string, string | string[]>();
  /** The operation that later nodes belong to, for the runtime's error messages. */
  label = '';

  /** Adds an operator with one result; an input '' is left out. */
  op(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.add({ op, domain: '', inputs, attributes }, 1)[0];
  }

  /** Adds an operator with several results. */
  ops(op: string, inputs: readonly string[], results: number, attributes: Attributes = {}): string[] {
    return this.add({ op, domain: '', inputs, attributes }, results);
  }

  /** Adds an operator that only ONNX Runtime has, with one result. */
  contrib(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.add({ op, domain: CONTRIB_DOMAIN, inputs, attributes }, 1)[0];
  }

  /** Adds an operator of the native library (native/kernels.h), which reads `ints` and `floats`. */
  native(op: string, inputs: readonly string[], { results, ints = [], floats = [] }: NativeCall): string[] {
    const shapes = results.flatMap(({ shape }) => [shape.length, ...shape]);
    // ONNX has no empty lists of a known type.
    const attributes = { shapes: [...shapes, -1], ints: [...ints, 0], floats: new Floats([...floats, 0]) };
    return this.add({ op, domain: NATIVE_DOMAIN, inputs, attributes, results }, results.length);
  }

  /** Adds a node with a number of results, and returns their names. */
  protected add(node: NewNode, results: number): string[] {
    const number = this.nodes.length;
    const outputs = Array.from({ length: results }, (_, i) => `v${number}_${i}`);
    this.nodes.push({ ...node, name: `${this.label} #${number}`, outputs });
    return outputs;
  }

  /** A scalar constant. */
  scalar(value: number, type: LazyDtype = 'float32'): string {
    return this.#constant(type, [], hostArray(type, [value]));
  }

  /** A constant list of int64, the form of shapes, axes and bounds in ONNX. */
  ints(values: readonly number[]): string {
    return this.#constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A constant tensor. */
  constant(type: LazyDtype, shape: readonly number[], values: readonly number[]): string {
    return this.#constant(type, shape, hostArray(type, values));
  }

  /** Reads a value in another shape with as many elements. */
  reshape(name: string, shape: readonly number[]): string {
    // Without allowzero, an extent of 0 would stand for the extent of the input.
    return this.op('Reshape', [name, this.ints(shape)], { allowzero: 1 });
  }

  /** Like `reshape`, but returns the same operator for equal names and shapes. */
  view(name: string, shape: readonly number[]): string {
    return this.once(`${name}>${shape}`, () => this.reshape(name, shape));
  }

  /** Calls `make` once for each key. Use it for small values only, because they stay in memory while the graph runs. */
  once<T extends string | string[]>(key: string, make: () => T): T {
    const made = (this.#made.get(key) as T | undefined) ?? make();
    this.#made.set(key, made);
    return made;
  }

  /** Splits a value into chunks of `sizes` along an axis; a single chunk is the value itself. */
  split(name: string, sizes: readonly number[], axis: number): string[] {
    return sizes.length === 1 ? [name] : this.ops('Split', [name, this.ints(sizes)], sizes.length, { axis });
  }

  /** The inverse of `split`. */
  concat(chunks: readonly string[], axis: number): string {
    return chunks.length === 1 ? chunks[0] : this.op('Concat', chunks, { axis });
  }

  /** Converts a value to another type; true becomes 1. */
  cast(name: string, to: ElementType): string {
    return this.op('Cast', [name], { to: ELEMENT_TYPE[to] });
  }

  #constant(type: ElementType, shape: readonly number[], values: ArrayBufferView): string {
    const bytes = bytesOf(values);
    const key = `${type}[${shape}]${Buffer.from(bytes).toString('base64')}`;
    const known = this.#constantNames.get(key);
    if (known) return known;
    const name = `c${this.constants.length}`;
    this.constants.push({ name, type, shape, bytes });
    this.#constantNames.set(key, name);
    return name;
  }
}

function hostArray(type: LazyDtype, values: readonly number[]): ArrayBufferView {
  if (type === 'float32') return Float32Array.from(values);
  return type === 'int32' ? Int32Array.from(values) : Uint8Array.from(values);
}
