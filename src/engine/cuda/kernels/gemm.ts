/** @file Matrix products of row-major operands, which may be parts of larger tensors. */
import type { ComputeType, Gemm, GemmOperand } from '../compile/program.js';
import type { Builder } from '../ir/builder.js';
import type { GemmStep, KernelStep, ResultSlice, Slice } from '../ir/call.js';
import type { View } from '../ir/tensor.js';
import { ELEMENT_BYTES } from '../storage.js';
import { gemmKernel } from './gemm_kernel.js';
import type { Policy } from './lowering.js';
import type { FloatStorage } from './precision.js';

/** Where the matrices of a batch lie in a tensor, in elements. */
interface Layout {
  /** Elements before the first matrix; 0 by default. */
  readonly offset?: number;
  /** Distance of two rows as they lie in memory. */
  readonly stride: number;
  /** Distance of two matrices; 0, by default, for one that all products share. */
  readonly batchStride?: number;
}

/** The matrices of an operand in a tensor of floats. */
export interface Matrices extends Layout {
  readonly view: View;
  readonly isTransposed?: boolean;
}

/** alpha·a·b + bias for a [M, K] and b [K, N] of each pair of a batch. Both operands have the same storage. */
export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** 1 by default. */
  readonly batch?: number;
  readonly a: Matrices;
  readonly b: Matrices;
  /** The place of the result, in a result of the call. */
  readonly c: Layout & { readonly result: number; readonly storage: FloatStorage };
  /** 1 by default. */
  readonly alpha?: number;
  /** A vector [N] that is added to each row, in the storage of the result. */
  readonly bias?: View;
  /** The result of the call that gets the sums of the rows of a, a float32 vector [M]; only cuBLASLt does that. */
  readonly biasGrad?: ResultSlice;
}

/** Whether cuBLASLt computes a product as it is, with its epilogue. */
export function hasAlgorithm(policy: Policy, product: Product): boolean {
  return policy.hasAlgorithm(gemmOf(policy, product));
}

/** The step of a call that computes a product. */
export function productStep(policy: Policy, product: Product): GemmStep | KernelStep {
  const { a, b, c, bias, biasGrad } = product;
  const operands: Slice[] = [sliceOf(a), sliceOf(b)];
  if (bias) operands.push({ tensor: bias.tensor, offset: 0 });
  const results: ResultSlice[] = [{ result: c.result, offset: c.offset ?? 0 }];
  if (biasGrad) results.push(biasGrad);
  const gemm = gemmOf(policy, product);
  const step: GemmStep = { kind: 'gemm', gemm, operands, results, cost: costOf(gemm) };
  return policy.hasAlgorithm(gemm) ? step : gemmKernel(step);
}

function gemmOf({ precision }: Policy, product: Product): Gemm {
  const { M, N, K, batch = 1, c, alpha = 1, bias, biasGrad } = product;
  const [a, b] = [operandOf(product.a), operandOf(product.b)];
  if (a.storage !== b.storage) throw new Error(`a product of ${a.storage} and ${b.storage}`);
  const compute: ComputeType = precision === 'tf32' && a.storage === 'float32' ? 'tf32' : 'float32';
  return {
    M,
    N,
    K,
    batch,
    a,
    b,
    c: { storage: c.storage, stride: c.stride, batchStride: c.batchStride ?? 0 },
    alpha,
    beta: 0,
    compute,
    epilogue: bias ? 'bias' : biasGrad ? 'bias-grad' : 'none',
    biasStorage: biasGrad ? 'float32' : c.storage,
    alignment: alignmentOf(product),
  };
}

/** The largest power of 2 up to 256 that divides the first bytes of all matrices. */
function alignmentOf({ a, b, c }: Product): number {
  const firsts = [
    ...[a, b].flatMap(({ view, offset = 0, batchStride = 0 }) =>
      [offset, batchStride].map((count) => count * ELEMENT_BYTES[view.tensor.storage]),
    ),
    ...[c.offset ?? 0, c.batchStride ?? 0].map((count) => count * ELEMENT_BYTES[c.storage]),
  ];
  return firsts
    .map((bytes) => bytes % 256)
    .reduce((least, rest) => (rest === 0 ? least : Math.min(least, rest & -rest)), 256);
}

const sliceOf = ({ view, offset = 0 }: Matrices): Slice => ({ tensor: view.tensor, offset });

function operandOf({ view, stride, batchStride = 0, isTransposed = false }: Matrices): GemmOperand {
  const { storage } = view.tensor;
  if (storage !== 'float32' && storage !== 'bfloat16') throw new Error(`a product of ${storage}`);
  return { storage, isTransposed, stride, batchStride };
}

function costOf({ M, N, K, batch, a, b, c }: Gemm) {
  const bytes = (elements: number, { storage, batchStride }: Omit<GemmOperand, 'isTransposed'>) =>
    elements * ELEMENT_BYTES[storage] * (batchStride === 0 ? 1 : batch);
  return { bytes: bytes(M * K, a) + bytes(K * N, b) + bytes(M * N, c), flops: 2 * M * N * K * batch };
}

/** Matrices as tensors of their own; a batch of them has three axes. */
export interface MatmulOptions {
  readonly a: View;
  readonly b: View;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly bias?: View;
  /** Storage of the result. */
  readonly storage: FloatStorage;
}

/**
 * a·b + bias of matrices, or of each pair of two batches [batch, rows, columns]; a batch may also have a single matrix. Returns
 * [M, N] or [batch, M, N].
 */
export function matmul(builder: Builder, policy: Policy, options: MatmulOptions): View {
  const { a, b, transposeA = false, transposeB = false, bias, storage } = options;
  const [rowsOfA, columnsOfA] = a.shape.slice(-2);
  const [rowsOfB, columnsOfB] = b.shape.slice(-2);
  const [M, K] = transposeA ? [columnsOfA, rowsOfA] : [rowsOfA, columnsOfA];
  const N = transposeB ? rowsOfB : columnsOfB;
  const batch = Math.max(countOf(a), countOf(b));
  const shape = a.shape.length > 2 || b.shape.length > 2 ? [batch, M, N] : [M, N];
  if (batch * M * N * K === 0) return sumOfNothing(builder, { shape, storage, bias });
  const matrices = (view: View, isTransposed: boolean): Matrices => {
    const [rows, stride] = view.shape.slice(-2);
    return { view, stride, isTransposed, batchStride: countOf(view) === 1 ? 0 : rows * stride };
  };
  const plain: Product = {
    M,
    N,
    K,
    batch,
    a: matrices(a, transposeA),
    b: matrices(b, transposeB),
    c: { result: 0, storage, stride: N, batchStride: batch === 1 ? 0 : M * N },
  };
  const info = { shape, dtype: 'float32', storage } as const;
  const call = (product: Product) => builder.call([info], [productStep(policy, product)])[0];
  if (!bias) return call(plain);
  const together = { ...plain, bias: builder.stored(bias, storage) };
  if (hasAlgorithm(policy, together) || !hasAlgorithm(policy, plain)) return call(together);
  const product = call(plain);
  return builder.map(info, (i) => builder.load(product, i).add(builder.load(bias, i.mod(N))));
}

const countOf = ({ shape }: View) => (shape.length > 2 ? shape[0] : 1);

/** The result of a product without terms: the bias in each row, or zeros. */
function sumOfNothing(
  builder: Builder,
  { shape, storage, bias }: { shape: number[]; storage: FloatStorage; bias?: View },
): View {
  return builder.map({ shape, dtype: 'float32', storage }, (i) =>
    bias ? builder.load(bias, i.mod(shape[shape.length - 1])) : builder.float(0),
  );
}
