/** @file Evaluates the tensors of a program of the cuda engine on the host, element by element. */
import type { Gemm, GemmOperand } from '../../src/engine/cuda/compile/program.js';
import type { Builder } from '../../src/engine/cuda/ir/builder.js';
import type { Call, GemmStep, KernelStep, Slice, Step } from '../../src/engine/cuda/ir/call.js';
import type { Expr } from '../../src/engine/cuda/ir/expr.js';
import type { Reduction, RowProgram, RowReduction, Tensor, View } from '../../src/engine/cuda/ir/tensor.js';
import type { Storage } from '../../src/engine/cuda/storage.js';
import { evaluate, type Load } from './expr_value.js';

/** The elements of a tensor, in row-major order. */
export type Numbers = ArrayLike<number>;

/** The elements of a tensor from an offset on. */
export interface KernelArgument {
  readonly elements: Float64Array;
  readonly storage: Storage;
}

/** Runs a kernel that is written by hand: reads the arguments, operands and then results, and writes the results. */
export type RunKernel = (step: KernelStep, args: readonly KernelArgument[]) => void;

/** Evaluates tensors of one builder for one set of inputs. */
export class Interpreter {
  readonly #known = new Map<Tensor, Float64Array>();

  constructor(
    private readonly builder: Builder,
    private readonly inputs: readonly Numbers[],
    private readonly runKernel?: RunKernel,
  ) {}

  /** The elements of a tensor as they are stored. Throws for plans of cuDNN, and for kernels that are written by hand if none can run. */
  read({ tensor }: Pick<View, 'tensor'>): Float64Array {
    const known = this.#known.get(tensor);
    if (known) return known;
    const elements = this.#compute(tensor).map((value) => stored(value, tensor.storage));
    this.#known.set(tensor, elements);
    return elements;
  }

  readonly #load: Load = (tensor, index) => {
    if (!(index >= 0 && index < tensor.size))
      throw new RangeError(`tensor ${tensor.id} (${tensor.label}) has no element ${index} of ${tensor.size}`);
    return this.read({ tensor })[index];
  };

  #compute(tensor: Tensor): Float64Array {
    const { definition, size } = tensor;
    switch (definition.kind) {
      case 'input':
        return Float64Array.from(this.inputs[definition.index]);
      case 'map':
        return numbers(size, (i) => this.#value(definition.body, [[definition.i, i]]));
      case 'reduce':
        return numbers(size, (o) => this.#reduce(definition.reduction, o));
      case 'row':
        return this.#rowResult(definition.row, definition.result, size);
      case 'call':
        this.#call(definition.call);
        return this.read({ tensor });
    }
  }

  #value(expr: Expr, variables: readonly (readonly [Expr, number])[]): number {
    return evaluate(expr, new Map(variables), this.#load);
  }

  #reduce({ operator, count, o, k, body }: Reduction, at: number): number {
    const terms = numbers(count, (index) =>
      this.#value(body, [
        [o, at],
        [k, index],
      ]),
    );
    if (operator === 'argMax') return terms.indexOf(largest(terms));
    return fold(operator, terms, body);
  }

  #rowResult({ rows, width, r, c, reductions, results }: RowProgram, result: number, size: number) {
    const { isPerRow, body } = results[result];
    const elements = new Float64Array(size);
    for (let row = 0; row < rows; row++) {
      const known: [Expr, number][] = [[r, row]];
      for (const reduction of reductions)
        known.push([reduction.result, this.#rowReduction(reduction, c, width, known)]);
      if (isPerRow) elements[row] = this.#value(body, known);
      else
        for (let column = 0; column < width; column++)
          elements[row * width + column] = this.#value(body, [...known, [c, column]]);
    }
    return elements;
  }

  #rowReduction({ operator, body }: RowReduction, c: Expr, width: number, known: [Expr, number][]): number {
    return fold(
      operator,
      numbers(width, (column) => this.#value(body, [...known, [c, column]])),
      body,
    );
  }

  /** Fills all results of a call. */
  #call(call: Call): void {
    const results: Tensor[] = [];
    for (const tensor of this.builder.tensors) {
      const { definition } = tensor;
      if (definition.kind !== 'call' || definition.call !== call) continue;
      results[definition.result] = tensor;
      this.#known.set(tensor, new Float64Array(tensor.size));
    }
    for (const step of call.steps) this.#step(step, results);
  }

  #step(step: Step, tensors: readonly Tensor[]): void {
    const results = step.results.map(
      ({ result, offset }) =>
        new Part(this.read({ tensor: tensors[result] }), offset, tensors[result].storage),
    );
    if (step.kind === 'clear') for (const result of results) result.clear();
    else if (step.kind === 'gemm')
      multiply(
        step,
        step.operands.map((slice) => this.#part(slice)),
        results,
      );
    else if (step.kind === 'kernel' && this.runKernel)
      this.runKernel(step, this.#kernelArguments(step, tensors));
    else throw new Error(`a ${step.kind} step cannot be evaluated on the host`);
  }

  #kernelArguments({ operands, results }: KernelStep, tensors: readonly Tensor[]): KernelArgument[] {
    const written = results.map(({ result, offset }) => ({ tensor: tensors[result], offset }));
    return [...operands, ...written].map(({ tensor, offset }) => ({
      elements: this.read({ tensor }).subarray(offset),
      storage: tensor.storage,
    }));
  }

  #part({ tensor, offset }: Slice): Part {
    return new Part(this.read({ tensor }), offset, tensor.storage);
  }
}

const numbers = (length: number, element: (i: number) => number) =>
  Float64Array.from({ length }, (_, i) => element(i));

/** NaN if there is one. */
const largest = (terms: Float64Array) =>
  terms.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);

/** Sums of floats are rounded once, because kernels add in any order. */
function fold(operator: 'sum' | 'max', terms: Float64Array, { type }: Expr): number {
  if (operator === 'max')
    return terms.length === 0 && type !== 'float' ? (type === 'int' ? -(2 ** 31) : 0) : largest(terms);
  if (type === 'float') return Math.fround(terms.reduce((sum, x) => sum + x, 0));
  return terms.reduce((sum, x) => (sum + x) | 0, 0);
}

/** A number as it is read back from memory. */
export function stored(value: number, storage: Storage): number {
  if (storage === 'int32') return value | 0;
  if (storage === 'bool') return Number(value !== 0);
  return storage === 'float32' ? Math.fround(value) : bfloat16(value);
}

/** The nearest bfloat16, the even one of two. */
function bfloat16(value: number): number {
  if (Number.isNaN(value)) return value;
  const float = new Float32Array([value]);
  const bits = new Uint32Array(float.buffer);
  const isOdd = (bits[0] >>> 16) & 1;
  bits[0] = (bits[0] + 0x7fff + isOdd) & 0xffff0000;
  return float[0];
}

/** A part of a stored tensor that begins at `offset`. */
class Part {
  constructor(
    private readonly elements: Float64Array,
    private readonly offset: number,
    private readonly storage: Storage,
  ) {}

  get(i: number): number {
    this.#check(i);
    return this.elements[this.offset + i];
  }

  set(i: number, value: number): void {
    this.#check(i);
    this.elements[this.offset + i] = stored(value, this.storage);
  }

  clear(): void {
    this.elements.fill(0, this.offset);
  }

  #check(i: number): void {
    if (!(i >= 0 && this.offset + i < this.elements.length))
      throw new RangeError(`a product reads or writes past the end: ${i}`);
  }
}

/** The number of element [batch, row, column] of a matrix operand. */
function place(
  { isTransposed, stride, batchStride }: GemmOperand,
  batch: number,
  row: number,
  column: number,
) {
  return batch * batchStride + (isTransposed ? column * stride + row : row * stride + column);
}

function multiply({ gemm }: GemmStep, [a, b, bias]: readonly Part[], [c, biasGrad]: readonly Part[]): void {
  const { M, N, K, batch } = gemm;
  const target: GemmOperand = { ...gemm.c, isTransposed: false };
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) {
        const at = place(target, n, row, column);
        let product = 0;
        for (let k = 0; k < K; k++)
          product += a.get(place(gemm.a, n, row, k)) * b.get(place(gemm.b, n, k, column));
        const old = gemm.beta === 0 ? 0 : gemm.beta * c.get(at);
        const added = gemm.epilogue === 'bias' ? bias.get(column) : 0;
        c.set(at, gemm.alpha * product + old + added);
      }
    }
  }
  if (gemm.epilogue === 'bias-grad') sumColumns(gemm, a, biasGrad);
}

/** The sums over K of the rows of a, which are the columns of aᵀ. */
function sumColumns({ M, K, a: layout }: Gemm, a: Part, sums: Part): void {
  for (let row = 0; row < M; row++)
    sums.set(
      row,
      numbers(K, (k) => a.get(place(layout, 0, row, k))).reduce((sum, x) => sum + x, 0),
    );
}
