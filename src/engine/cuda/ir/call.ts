/** @file Calls: parts of a program that read and write stored tensors, such as matrix products. */
import type { Cost, Gemm } from '../compile/program.js';
import type { Tensor } from './tensor.js';

/** A part of a stored tensor that begins at an element. */
export interface Slice {
  readonly tensor: Tensor;
  readonly offset: number;
}

/** A part of a result of a call that begins at an element. */
export interface ResultSlice {
  readonly result: number;
  readonly offset: number;
}

interface StepBase {
  readonly operands: readonly Slice[];
  readonly results: readonly ResultSlice[];
  readonly cost: Cost;
}

/** A product. Operands: a, b and the bias if there is one; results: c and the gradient of the bias if the epilogue sums it. */
export interface GemmStep extends StepBase {
  readonly kind: 'gemm';
  readonly gemm: Gemm;
}

/** A kernel that is written by hand and takes pointers to the operands and then to the results. */
export interface KernelStep extends StepBase {
  readonly kind: 'kernel';
  /** Writes the source of a kernel of this name. Equal sources become one kernel. */
  readonly source: (name: string) => string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly block: number;
}

/** Sets the results to zero; it has no operands. */
export interface ClearStep extends StepBase {
  readonly kind: 'clear';
}

/** A plan of cuDNN. */
export interface PlanStep extends StepBase {
  readonly kind: 'plan';
  readonly plan: string;
  /** The unique ids of the operands and then of the results. */
  readonly ids: readonly number[];
  readonly workspaceBytes: number;
}

export type Step = GemmStep | KernelStep | ClearStep | PlanStep;

/** Steps that run in order and together fill the results. */
export interface Call {
  readonly steps: readonly Step[];
  /** All of them are written, also those that nothing reads. */
  readonly results: readonly Tensor[];
}
