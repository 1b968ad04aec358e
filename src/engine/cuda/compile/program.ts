/**
 * @file Programs: what a recorded graph is compiled to for a GPU. A program is data, so it can be listed, priced and compared
 * without a GPU.
 */
import type { Storage } from '../storage.js';

/** Where a launch reads or writes: an input or a result of the program, or the workspace. `offset` counts bytes. */
export interface Place {
  readonly kind: 'input' | 'output' | 'workspace';
  /** Number of the input or of the result; 0 for the workspace. */
  readonly index: number;
  readonly offset: number;
}

/** What a launch costs at least. */
export interface Cost {
  /** Bytes read and written, each tensor once. */
  readonly bytes: number;
  /** Floating-point operations. */
  readonly flops: number;
}

interface LaunchBase {
  /** The recorded operations that the launch computes, such as `LayerNorm 3, Add 4`, for error messages. */
  readonly label: string;
  readonly cost: Cost;
}

/** A kernel of the program's source. */
export interface KernelLaunch extends LaunchBase {
  readonly kind: 'kernel';
  readonly name: string;
  readonly grid: readonly [x: number, y: number, z: number];
  /** Threads of a block. */
  readonly block: number;
  /** The arguments, all pointers; or those of one struct that the kernel takes by value. */
  readonly args: readonly Argument[];
}

/** A pointer, or a number of a struct that a kernel takes by value (8 bytes each, like a pointer). */
export type Argument = Place | { readonly kind: 'integer'; readonly value: number };

/** Sets bytes to zero. */
export interface ClearLaunch extends LaunchBase {
  readonly kind: 'clear';
  readonly place: Place;
  readonly bytes: number;
}

/**
 * A matrix operand in row-major order: element [b, r, c] is at `(b·batchStride + r·stride + c)` elements from its place, or
 * `(b·batchStride + c·stride + r)` if it is transposed.
 */
export interface GemmOperand {
  readonly storage: 'float32' | 'bfloat16';
  readonly isTransposed: boolean;
  /** Distance of two rows as they lie in memory, in elements. */
  readonly stride: number;
  /** 0 for one matrix that all products of the batch share. */
  readonly batchStride: number;
}

/** How float32 operands are multiplied. */
export type ComputeType = 'float32' | 'tf32';

/** What a product does besides multiplying; `none` by default. */
export type Epilogue =
  /** Adds a vector [N] to each row. */
  | 'bias'
  /** Also returns the sums of the columns of operand a [N of aᵀ], the gradient of a bias. */
  | 'bias-grad';

/** alpha·a·b + beta·c for a [M, K] and b [K, N] of each of `batch` pairs; c is the result's old content. */
export interface Gemm {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly batch: number;
  readonly a: GemmOperand;
  readonly b: GemmOperand;
  /** Never transposed. */
  readonly c: Omit<GemmOperand, 'isTransposed'>;
  readonly alpha: number;
  readonly beta: number;
  readonly compute: ComputeType;
  readonly epilogue: Epilogue | 'none';
  /** Storage of the bias, or of its gradient. */
  readonly biasStorage: 'float32' | 'bfloat16';
  /** Bytes of which the places of a, b and c, and of the matrices of their batches, are multiples: a power of 2, at most 256. */
  readonly alignment: number;
}

/** Bytes that a product of cuBLASLt may use, as many as its documentation recommends for the largest GPUs. */
export const GEMM_WORKSPACE_BYTES = 32 * 2 ** 20;

/** A product by cuBLASLt. */
export interface GemmLaunch extends LaunchBase {
  readonly kind: 'gemm';
  readonly gemm: Gemm;
  readonly a: Place;
  readonly b: Place;
  readonly c: Place;
  /** The bias or its gradient. */
  readonly bias?: Place;
  /** Memory that cuBLASLt may use while it runs. */
  readonly workspace: Place;
}

/** A plan of cuDNN. */
export interface PlanLaunch extends LaunchBase {
  readonly kind: 'plan';
  /** Identifies the plan among those that the program's device has built. */
  readonly plan: string;
  /** The tensors by their unique ids. */
  readonly tensors: readonly { readonly id: number; readonly place: Place }[];
  readonly workspace: Place;
}

export type Launch = KernelLaunch | ClearLaunch | GemmLaunch | PlanLaunch;

/** A result of a program. */
export interface ProgramOutput {
  readonly bytes: number;
  readonly storage: Storage;
  /** The number of the input over which it may be written, if nothing needs that any more; null if there is none. */
  readonly inPlaceOf: number | null;
}

export interface Program {
  /** CUDA C with the kernels of all launches; empty if there are none. */
  readonly source: string;
  /** In the order in which they run, one after the other. */
  readonly launches: readonly Launch[];
  readonly outputs: readonly ProgramOutput[];
  /** Bytes of the workspace, which holds what lives inside the program only. */
  readonly workspaceBytes: number;
}
