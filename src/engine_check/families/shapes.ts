/** @file Operations that move elements: transposition, slices, padding, concatenation, tiling. */
import { tf } from '../../engine/tfjs.js';
import { bools, EXACT, type Family, floats, ints } from '../case.js';

export const SHAPES: Family = {
  name: 'shape operations',
  tolerance: EXACT,
  reason: 'elements are only moved',
  cases: [
    {
      name: 'transpose of rank 2 to 4',
      inputs: [floats([7, 13]), floats([3, 5, 7]), floats([2, 3, 5, 7])],
      compute: (a, b, c) => [
        a.transpose(),
        b.transpose([1, 0, 2]),
        b.transpose([2, 0, 1]),
        c.transpose([0, 2, 1, 3]),
      ],
    },
    {
      name: 'transpose of rank 5 and 6, of whole numbers, and of a larger matrix',
      inputs: [floats([2, 3, 2, 5, 3]), floats([2, 3, 1, 2, 3, 5]), ints([5, 7], -9, 9), floats([129, 257])],
      compute: (a, b, n, large) => [
        a.transpose([2, 0, 3, 1, 4]),
        a.transpose([0, 3, 2, 1, 4]),
        b.transpose([0, 2, 4, 1, 3, 5]),
        n.transpose(),
        large.transpose(),
      ],
    },
    {
      name: 'slice',
      inputs: [floats([7, 13]), floats([3, 5, 7]), floats([2, 3, 2, 5, 3]), ints([11], -9, 9)],
      compute: (a, b, c, n) => [
        a.slice([2, 3], [4, 7]),
        a.slice([0, 12], [7, 1]),
        b.slice([1, 0, 2], [2, 5, 3]),
        c.slice([0, 1, 0, 2, 0], [2, 2, 1, 3, 3]),
        n.slice([4], [3]),
      ],
    },
    {
      name: 'pad',
      inputs: [floats([7, 5]), floats([2, 3, 5])],
      compute: (a, b) => [
        tf.pad(a, [
          [1, 2],
          [0, 3],
        ]),
        tf.pad(
          b,
          [
            [0, 0],
            [2, 0],
            [1, 1],
          ],
          4,
        ),
      ],
    },
    {
      name: 'concat and stack',
      inputs: [floats([3, 5]), floats([3, 7]), floats([2, 5]), floats([3, 5])],
      compute: (a, b, c, d) => [
        tf.concat([a, b], 1),
        tf.concat([a, c, d], 0),
        tf.stack([a, d], -1),
        tf.stack([a, d], 0),
      ],
    },
    {
      name: 'concat of truth values',
      inputs: [bools([3, 5]), bools([3, 2])],
      compute: (p, q) => tf.concat([p, q], 1),
    },
    {
      name: 'split and unstack',
      inputs: [floats([5, 13]), floats([3, 6, 2]), floats([4, 7])],
      compute: (a, b, c) =>
        [...tf.split(a, [2, 10, 1], 1), ...tf.split(b, 2, 1), ...tf.unstack(c).slice(1, 3)].map((part) =>
          part.clone(),
        ),
    },
    {
      name: 'tile, expandDims and reshape',
      inputs: [floats([3, 5]), floats([2, 1, 7]), ints([1, 3, 1, 2], -9, 9)],
      compute: (a, b, n) => [
        a.tile([2, 3]),
        a.expandDims(1).tile([1, 4, 1]),
        b.reshape([7, 2]),
        b.tile([1, 5, 1]),
        n.tile([2, 1, 3, 1]),
      ],
    },
    {
      name: 'constants',
      inputs: [floats([3, 5])],
      compute: (x) => [
        tf.range(0, 7, 1, 'int32'),
        tf.range(0, 5),
        tf.zerosLike(x),
        tf.onesLike(x),
        tf.fill([3, 2], 0.5),
      ],
    },
    {
      name: 'gradients of shape operations',
      inputs: [floats([6, 7]), floats([6, 5])],
      gradients: [0, 1],
      compute: (a, b) => {
        const [left, right] = tf.split(tf.concat([a, b], 1), [5, 7], 1);
        return tf.stack([left.slice([1, 0], [4, 5]), right.slice([0, 2], [4, 5])]).transpose([2, 0, 1]);
      },
    },
  ],
};

/** The gradient of tiling adds up elements, so it is not exact. */
export const TILING_GRADIENTS: Family = {
  name: 'gradients of tiling',
  tolerance: { norm: 1e-6, largest: 2e-6 },
  reason: 'few numbers are added up',
  cases: [
    {
      name: 'tile of rank 2 to 4',
      inputs: [floats([3, 5]), floats([2, 1, 7])],
      gradients: [0, 1],
      compute: (a, b) => tf.concat([a.tile([2, 3]).flatten(), b.tile([1, 5, 1]).flatten()]),
    },
  ],
};
