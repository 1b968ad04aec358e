/** @file Graphs of cuDNN's operations, as data. */

export type TensorType = 'float32' | 'bfloat16';

export interface TensorLayout {
  readonly type: TensorType;
  readonly dims: readonly number[];
  /** Distances of neighbours, in elements. */
  readonly strides: readonly number[];
}

/** Where the elements of a tensor are. */
export type TensorPlace =
  /** In a tensor that the caller names, from `offset` bytes on. */
  | { readonly kind: 'argument'; readonly name: string; readonly offset: number }
  /** In the workspace. */
  | { readonly kind: 'scratch' }
  /** In registers or shared memory. */
  | { readonly kind: 'virtual' }
  /** One number. */
  | { readonly kind: 'scalar'; readonly value: number };

export interface GraphTensor extends TensorLayout {
  /** Unique in the graph. */
  readonly id: number;
  readonly place: TensorPlace;
}

export type PointwiseMode = 'mul' | 'sub' | 'exp' | 'identity';

/** The three passes of a convolution: y, the gradient of x, and the gradient of w. */
export type ConvolutionPass = 'forward' | 'data' | 'filter';

/** An operation on tensors, which are given by their ids. Everything is computed in float32. */
export type Operation =
  /** y = mode(inputs), with one or two inputs; axes of length 1 are repeated. */
  | {
      readonly kind: 'pointwise';
      readonly mode: PointwiseMode;
      readonly inputs: number[];
      readonly y: number;
    }
  /** c = a·b on the last two axes. */
  | { readonly kind: 'matmul'; readonly a: number; readonly b: number; readonly c: number }
  /** Sums over the axes that have length 1 in y. */
  | { readonly kind: 'sum'; readonly x: number; readonly y: number }
  /** The same elements with other dims and strides. */
  | { readonly kind: 'reshape'; readonly x: number; readonly y: number }
  /** Of x [B, I, …], w [O, I, …] and y [B, O, …], the one that the pass names is the result. */
  | {
      readonly kind: 'convolution';
      readonly pass: ConvolutionPass;
      readonly x: number;
      readonly w: number;
      readonly y: number;
      readonly padding: readonly number[];
      readonly stride: readonly number[];
    }
  /** o = softmax(scale·q·kᵀ)·v, and the logarithms of the sums of exponentials. */
  | { readonly kind: 'attention'; readonly tensors: Readonly<Record<AttentionTensor, number>> };

export type AttentionTensor = 'q' | 'k' | 'v' | 'o' | 'statistics' | 'scale';

export interface OperationGraph {
  /** Whether blocks of threads may add to results in no fixed order, which cuDNN's notes on its engines leave out. */
  readonly accumulates?: boolean;
  readonly tensors: readonly GraphTensor[];
  readonly operations: readonly Operation[];
}

/** Bytes of an element. */
export const TYPE_BYTES: Readonly<Record<TensorType, number>> = { float32: 4, bfloat16: 2 };

/** Number of elements of a tensor without gaps. */
export const sizeOf = ({ dims }: TensorLayout): number => dims.reduce((a, b) => a * b, 1);

/** Builds a graph: tensors first, then operations on them, each of which returns its result. */
export class GraphBuilder implements OperationGraph {
  readonly tensors: GraphTensor[] = [];
  readonly operations: Operation[] = [];

  constructor(readonly accumulates = false) {}

  /** A tensor of the caller, or a view of one that begins `offset` bytes after it. */
  argument(name: string, layout: TensorLayout, offset = 0): GraphTensor {
    return this.#tensor(layout, { kind: 'argument', name, offset });
  }

  scratch(layout: TensorLayout): GraphTensor {
    return this.#tensor(layout, { kind: 'scratch' });
  }

  virtual(layout: TensorLayout): GraphTensor {
    return this.#tensor(layout, { kind: 'virtual' });
  }

  /** A number as a tensor of `rank` axes of length 1. */
  scalar(value: number, rank: number): GraphTensor {
    const ones = Array<number>(rank).fill(1);
    return this.#tensor({ type: 'float32', dims: ones, strides: ones }, { kind: 'scalar', value });
  }

  pointwise(mode: PointwiseMode, inputs: readonly GraphTensor[], y: GraphTensor): GraphTensor {
    this.operations.push({ kind: 'pointwise', mode, inputs: inputs.map(({ id }) => id), y: y.id });
    return y;
  }

  matmul(a: GraphTensor, b: GraphTensor, c: GraphTensor): GraphTensor {
    this.operations.push({ kind: 'matmul', a: a.id, b: b.id, c: c.id });
    return c;
  }

  sum(x: GraphTensor, y: GraphTensor): GraphTensor {
    this.operations.push({ kind: 'sum', x: x.id, y: y.id });
    return y;
  }

  reshape(x: GraphTensor, y: GraphTensor): GraphTensor {
    this.operations.push({ kind: 'reshape', x: x.id, y: y.id });
    return y;
  }

  #tensor({ type, dims, strides }: TensorLayout, place: TensorPlace): GraphTensor {
    const tensor = { id: this.tensors.length + 1, type, dims, strides, place };
    this.tensors.push(tensor);
    return tensor;
  }
}
