/** @file Gathering and scattering of rows, weighted sums of rows, and the sampling of the feature pyramid. */
import { tf } from '../../engine/tfjs.js';
import { makeFeatureTable, makeSamplePoints, samplePoints } from '../../model/sampling.js';
import { weightedRowSum } from '../../nn/spatial.js';
import { type Case, EXACT, type Family, floats, ints } from '../case.js';
import { weightedRowSum as doubleSum } from '../double_spatial.js';

export const GATHER: Family = {
  name: 'gather',
  tolerance: EXACT,
  reason: 'elements are only moved',
  cases: [
    {
      name: 'rows of a table',
      inputs: [floats([23, 7]), ints([13], 0, 23), floats([1009, 5]), ints([317], 0, 1009)],
      compute: (table, index, large, many) => [tf.gather(table, index), tf.gather(large, many)],
    },
  ],
};

const scatter: Case = {
  name: 'scatter, with many equal indices',
  inputs: [ints([13, 1], 0, 7), floats([13, 5]), ints([2003, 1], 0, 3), floats([2003, 7])],
  compute: (index, rows, few, many) => [tf.scatterND(index, rows, [7, 5]), tf.scatterND(few, many, [3, 7])],
  expected: ([index, rows, few, many]) => [added(index, rows, 7), added(few, many, 3)],
};

/** Rows added up at their indices, in a table of `count` rows. */
function added(index: Float64Array, rows: Float64Array, count: number): Float64Array {
  const width = rows.length / index.length;
  const table = new Float64Array(count * width);
  for (const [i, row] of index.entries())
    for (let c = 0; c < width; c++) table[row * width + c] += rows[i * width + c];
  return table;
}

interface RowSum {
  readonly rows: number;
  readonly width: number;
  readonly samples: number;
  readonly perSample: number;
}

function rowSum({ rows, width, samples, perSample }: RowSum): Case {
  return {
    name: `${samples} sums of ${perSample} of ${rows} rows, width ${width}, with gradients`,
    inputs: [floats([rows, width]), ints([samples, perSample], 0, rows), floats([samples, perSample])],
    gradients: [0, 2],
    compute: weightedRowSum,
    expected: (inputs, dy) => doubleSum(inputs, dy, { samples, width }),
  };
}

/** Maps of four levels for 2 clips, 3 time steps and 2 groups of 5 channels, and points on and outside of them. */
const sampling: Case = {
  name: 'feature pyramid at points, with gradients',
  inputs: [
    ...[
      [8, 12],
      [4, 6],
      [2, 3],
      [1, 2],
    ].map(([height, width]) => floats([2, 3, height, width, 10])),
    floats([2, 7, 2 * 3 * 3], -0.9, 0.9),
    floats([2, 7, 2], 8, 32),
    floats([2, 7, 2], 3.1, 4.9),
  ],
  gradients: [0, 1, 2, 3, 4],
  compute: (...inputs) => {
    const [offsets, xy, zr] = inputs.slice(4);
    const table = makeFeatureTable(inputs.slice(0, 4), [4, 8, 16, 32], 2);
    return samplePoints(table, makeSamplePoints(offsets, tf.concat([xy, zr.sub([0, 4])], -1)));
  },
};

export const ROW_SUMS: Family = {
  name: 'scatter, sampling',
  tolerance: { norm: 1e-5, largest: 1e-5 },
  reason: 'sums of up to 2,000 numbers in any order; a lost update would give 1e-3',
  cases: [
    scatter,
    rowSum({ rows: 23, width: 7, samples: 13, perSample: 5 }),
    rowSum({ rows: 311, width: 48, samples: 257, perSample: 16 }),
    rowSum({ rows: 3, width: 33, samples: 401, perSample: 16 }),
    // Wide enough for the vector kernels of GPUs.
    rowSum({ rows: 311, width: 128, samples: 257, perSample: 16 }),
    sampling,
  ],
};
