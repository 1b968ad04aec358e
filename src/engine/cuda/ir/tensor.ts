/** @file Tensors inside a program that is being compiled. */
import type { LazyDtype } from '../../lazy/value.js';
import { ELEMENT_BYTES, type Storage } from '../storage.js';
import type { Call } from './call.js';
import type { Expr } from './expr.js';

/** How the elements of a tensor come about. Elements are numbered in row-major order. */
export type Definition =
  | { readonly kind: 'input'; readonly index: number }
  /** Element `i` is `body`. */
  | { readonly kind: 'map'; readonly i: Expr; readonly body: Expr }
  | { readonly kind: 'reduce'; readonly reduction: Reduction }
  | { readonly kind: 'row'; readonly row: RowProgram; readonly result: number }
  /** A result of a call, which is always stored. */
  | { readonly kind: 'call'; readonly call: Call; readonly result: number };

export type ReduceOperator = 'sum' | 'max' | 'argMax';

/** Element `o` is the sum, maximum, or index of the first maximum, of `body` for `k` in [0, count). */
export interface Reduction {
  readonly operator: ReduceOperator;
  readonly count: number;
  readonly o: Expr;
  readonly k: Expr;
  readonly body: Expr;
  /** Whether `o` has the terms of one chunk only, and `body` is one of k in [0, count). */
  readonly isInChunks?: boolean;
}

/** Terms that a block adds up of a sum of many. */
export const CHUNK = 16_384;

/** A reduction over the elements of one row. */
export interface RowReduction {
  readonly operator: 'sum' | 'max';
  readonly body: Expr;
  /** The variable that stands for the result in later expressions. */
  readonly result: Expr;
}

/** Computes rows of elements one by one: reductions over a row, each of which may use those before it, and then results. */
export interface RowProgram {
  readonly rows: number;
  readonly width: number;
  readonly r: Expr;
  readonly c: Expr;
  readonly reductions: readonly RowReduction[];
  /** Expressions of r, c and the reductions for results with an element for each (r, c), of r alone for one in each row. */
  readonly results: readonly { readonly isPerRow: boolean; readonly body: Expr }[];
}

export interface Tensor {
  /** Number within the program; a tensor is made of those with smaller ones. */
  readonly id: number;
  readonly size: number;
  readonly dtype: LazyDtype;
  readonly storage: Storage;
  readonly definition: Definition;
  /** The recorded operation that it belongs to. */
  readonly label: string;
}

export function bytesOf({ size, storage }: Tensor): number {
  return size * ELEMENT_BYTES[storage];
}

/** A tensor seen in a shape. */
export interface View {
  readonly tensor: Tensor;
  readonly shape: readonly number[];
}
