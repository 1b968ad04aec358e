/** @file Builds the ONNX graph of a recorded one: names, constants, and views in other shapes. */
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import {
  type Attributes,
  ELEMENT_TYPE,
  type ElementType,
  type OnnxConstant,
  type OnnxNode,
} from './model_format.js';

/** An input of an operation: a value's name with the shape and type to read it in. */
export interface Operand extends ValueInfo {
  readonly name: string;
}

/** Operators of ONNX Runtime's own. */
const CONTRIB = 'com.microsoft';

export class GraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxConstant[] = [];
  readonly #constantNames = new Map<string, string>();
  readonly #made = new Map<string, string | string[]>();
  /** What the nodes to come belong to, for the runtime's error messages. */
  label = '';

  /** Adds an operator with one result. */
  op(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.ops(op, inputs, 1, attributes)[0];
  }

  /** Adds an operator with several results; '' as an input stands for one that is left out. */
  ops(
    op: string,
    inputs: readonly string[],
    results: number,
    attributes: Attributes = {},
    domain = '',
  ): string[] {
    const outputs = Array.from({ length: results }, (_, i) => `v${this.nodes.length}_${i}`);
    this.nodes.push({ name: `${this.label} #${this.nodes.length}`, op, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** Adds an operator of the runtime's own. */
  contrib(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.ops(op, inputs, 1, attributes, CONTRIB)[0];
  }

  /** A scalar constant. */
  scalar(value: number, type: LazyDtype = 'float32'): string {
    return this.#constant(type, [], hostArray(type, [value]));
  }

  /** A constant list of int64, as ONNX wants shapes, axes and bounds. */
  ints(values: readonly number[]): string {
    return this.#constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A constant tensor. */
  constant(type: LazyDtype, shape: readonly number[], values: readonly number[]): string {
    return this.#constant(type, shape, hostArray(type, values));
  }

  /** The same elements in another shape. */
  reshape(name: string, shape: readonly number[]): string {
    // A dimension of 0 means "as before" unless allowzero says otherwise.
    return this.op('Reshape', [name, this.ints(shape)], { allowzero: 1 });
  }

  /** `reshape` for operands, made once each. */
  view(name: string, shape: readonly number[]): string {
    return this.once(`${name}>${shape}`, () => this.reshape(name, shape));
  }

  /** What `make` made the first time that it was asked for under this key; for what is small, since it is kept. */
  once<T extends string | string[]>(key: string, make: () => T): T {
    const made = (this.#made.get(key) as T | undefined) ?? make();
    this.#made.set(key, made);
    return made;
  }

  /** Pieces of `sizes` along an axis; one piece is the value itself. */
  split(name: string, sizes: readonly number[], axis: number): string[] {
    return sizes.length === 1 ? [name] : this.ops('Split', [name, this.ints(sizes)], sizes.length, { axis });
  }

  /** The inverse of `split`. */
  concat(parts: readonly string[], axis: number): string {
    return parts.length === 1 ? parts[0] : this.op('Concat', parts, { axis });
  }

  /** float32 1 and 0 (or int32) from bool, and the other way round. */
  cast(name: string, to: ElementType): string {
    return this.op('Cast', [name], { to: ELEMENT_TYPE[to] });
  }

  #constant(type: ElementType, shape: readonly number[], values: ArrayBufferView): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
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
