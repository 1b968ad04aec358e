/**
 * @file Sums of wide rows by index, with no atomic operations on the rows.
 *
 * A counting sort lists the updates of each row: the first kernel counts them, the second one adds up the counts, and the third one
 * writes the number of each update to the next free place of its row. The last kernel adds up each row in registers and writes it.
 */
import type { TensorInfo } from '../../ir/builder.js';
import type { KernelStep, ResultSlice, Slice, Step } from '../../ir/call.js';
import { ELEMENT_BYTES } from '../../storage.js';
import type { Addition, Updates } from './atomic_kernels.js';
import {
  countKernel,
  paddedRows,
  placeKernel,
  SCAN_THREADS,
  SUM_THREADS,
  scanKernel,
  sumBlocks,
  sumKernel,
} from './row_sum_kernels.js';
import { clearStep, elementwise } from './steps.js';

export interface RowSums {
  readonly updates: Updates;
  readonly addition: Addition;
  /** Row of each update, int32 [count]. */
  readonly row: Slice;
  /** Values, weights if there are any, and for `fixed` the bound on all updates. */
  readonly terms: readonly Slice[];
}

const TABLE: ResultSlice = { result: 0, offset: 0 };
/** For each row the number of its updates, then the place of its first one in the list, then the end of the row. */
const PLACES: ResultSlice = { result: 1, offset: 0 };
/** The numbers of the updates, by rows. */
const LIST: ResultSlice = { result: 2, offset: 0 };

/** The results that the call has besides the table. */
export function rowSumResults({ rows, count }: Updates): TensorInfo[] {
  return [
    { shape: [paddedRows(rows)], dtype: 'int32' },
    { shape: [count], dtype: 'int32' },
  ];
}

/** The steps of a call whose results are a table [rows, width] and `rowSumResults`. */
export function rowSumSteps(sums: RowSums): Step[] {
  const { updates, row } = sums;
  const placesBytes = 4 * paddedRows(updates.rows);
  const rowBytes = 4 * updates.count;
  const cost = (bytes: number) => ({ bytes, flops: 0 });
  const perUpdate = { ...elementwise(updates.count), operands: [row] };
  return [
    clearStep(PLACES.result, placesBytes),
    {
      ...perUpdate,
      results: [PLACES],
      cost: cost(rowBytes + 2 * placesBytes),
      source: (name) => countKernel(name, updates),
    },
    {
      kind: 'kernel',
      grid: [1, 1, 1],
      block: SCAN_THREADS,
      operands: [],
      results: [PLACES],
      cost: cost(2 * placesBytes),
      source: (name) => scanKernel(name, updates.rows),
    },
    {
      ...perUpdate,
      results: [PLACES, LIST],
      cost: cost(2 * rowBytes + 2 * placesBytes),
      source: (name) => placeKernel(name, updates),
    },
    sumStep(sums),
  ];
}

/** The kernel reads each value as often as it has updates, but these reads hit the cache. */
function sumStep({ updates, addition, terms }: RowSums): KernelStep {
  const { count, width, rows } = updates;
  const termBytes = terms.reduce((sum, { tensor }) => sum + tensor.size * ELEMENT_BYTES[tensor.storage], 0);
  return {
    kind: 'kernel',
    grid: [sumBlocks(updates), 1, 1],
    block: SUM_THREADS,
    operands: terms,
    results: [PLACES, LIST, TABLE],
    cost: { bytes: termBytes + 4 * (rows + count + rows * width), flops: 2 * count * width },
    source: (name) => sumKernel(name, updates, addition),
  };
}
