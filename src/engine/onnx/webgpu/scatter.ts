/**
 * @file Sums of rows by index on a GPU, with the same bits in every run.
 *
 * The provider's ScatterND adds floats in any order, and then the last bits differ from run to run. Sums of integers do not
 * depend on the order, so the numbers are scattered in fixed point: a high part, and a low part with the digits below it.
 * Each row of the result has a scale of its own, which follows from its largest term and the number of terms.
 */
import type { LazyDtype } from '../../lazy/value.js';
import type { GraphBuilder } from '../graph_builder.js';

/** No sum of a part exceeds this number. */
const MAX_SUM = 2 ** 30;
/** Largest terms below this one count as this, so that the scale is finite. */
const MIN_LARGEST = 2 ** -96;

export interface Scatter {
  /** Number of rows of the result, R. */
  readonly rows: number;
  /** int32 [count, 1], each within the rows. */
  readonly indices: string;
  /** Number of rows to add. */
  readonly count: number;
}

/** The scales of both parts: of each row of the result [R, 1], and of each row to add [count, 1]. */
interface Scales {
  readonly high: string;
  readonly low: string;
  readonly highOfTerms: string;
  readonly lowOfTerms: string;
}

/** The largest absolute value of each row of a matrix, [rows, 1]. */
export function largestOfRows(g: GraphBuilder, matrix: string): string {
  return g.op('ReduceMax', [g.op('Abs', [matrix]), g.ints([1])], { keepdims: 1 });
}

/** 0, or NaN if the matrix [rows, columns] holds NaN or an infinity. */
export function poison(g: GraphBuilder, matrix: string): string {
  const ofRows = g.op('ReduceSum', [g.op('Mul', [matrix, g.scalar(0)]), g.ints([1])], { keepdims: 0 });
  return g.op('ReduceSum', [ofRows, g.ints([0])], { keepdims: 0 });
}

interface Combination extends Scatter {
  readonly columns: number;
  readonly dtype: LazyDtype;
  /** One whose result does not depend on the order. */
  readonly reduction: 'add' | 'max';
}

/** Combines rows [count, columns] of equal index, beginning with zeros. */
function combine(
  g: GraphBuilder,
  terms: string,
  { rows, columns, indices, dtype, reduction }: Combination,
): string {
  const zeros = g.op('Expand', [g.scalar(0, dtype), g.ints([rows, columns])]);
  return g.op('ScatterND', [zeros, g.cast(indices, 'int64'), terms], { reduction });
}

/** Adds rows of integers [count, columns] to zeros [rows, columns]. */
export function scatterIntegers(
  g: GraphBuilder,
  terms: string,
  scatter: Scatter & { columns: number },
): string {
  return combine(g, terms, { ...scatter, dtype: 'int32', reduction: 'add' });
}

/** Scales for which no sum overflows. */
function scalesFor(g: GraphBuilder, bounds: string, scatter: Scatter): Scales {
  const ones = g.op('Expand', [g.scalar(1, 'int32'), g.ints([scatter.count, 1])]);
  const counts = g.cast(scatterIntegers(g, ones, { ...scatter, columns: 1 }), 'float32');
  const largest = combine(g, bounds, { ...scatter, columns: 1, dtype: 'float32', reduction: 'max' });
  const low = g.op('Div', [g.scalar(MAX_SUM), g.op('Max', [counts, g.scalar(1)])]);
  const high = g.op('Div', [low, g.op('Max', [largest, g.scalar(MIN_LARGEST)])]);
  const places = g.reshape(scatter.indices, [scatter.count]);
  const ofTerms = (scale: string) => g.op('Gather', [scale, places], { axis: 0 });
  return { high, low, highOfTerms: ofTerms(high), lowOfTerms: ofTerms(low) };
}

/**
 * Makes a function that adds rows [count, columns], each at its index, to zeros [rows, columns]. `bounds` [count, 1] are at
 * least the largest absolute values of the rows to add.
 */
export function scatterer(g: GraphBuilder, bounds: string, scatter: Scatter) {
  const { high, low, highOfTerms, lowOfTerms } = scalesFor(g, bounds, scatter);
  return (terms: string, columns: number): string => {
    const sums = (part: string) => g.cast(scatterIntegers(g, part, { ...scatter, columns }), 'float32');
    const scaled = g.op('Mul', [terms, highOfTerms]);
    const whole = g.cast(scaled, 'int32');
    const rest = g.op('Sub', [scaled, g.cast(whole, 'float32')]);
    const lows = sums(g.cast(g.op('Mul', [rest, lowOfTerms]), 'int32'));
    return g.op('Div', [g.op('Add', [sums(whole), g.op('Div', [lows, low])]), high]);
  };
}
