/** @file Windows of max pooling that tests of several engines use. */
import type { Windows } from '../../src/engine/kernel_contract.js';

/** Each with the shape of a map. */
export const POOLING_CASES: readonly [string, number[], Windows][] = [
  [
    '1×3×3, stride 2, padding 1, odd',
    [2, 2, 7, 5, 3],
    { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  ],
  [
    '1×3×3, stride 2, padding 1, even',
    [1, 1, 6, 8, 4],
    { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  ],
  ['1×2×2', [2, 2, 4, 2, 2], { kernel: [1, 2, 2], stride: [1, 2, 2], padding: [0, 0, 0] }],
  ['1×2×2, odd extents', [1, 2, 5, 3, 3], { kernel: [1, 2, 2], stride: [1, 2, 2], padding: [0, 0, 0] }],
  ['4×1×1', [1, 8, 2, 3, 2], { kernel: [4, 1, 1], stride: [4, 1, 1], padding: [0, 0, 0] }],
  ['2×2×2 with a remainder', [1, 5, 3, 4, 2], { kernel: [2, 2, 2], stride: [2, 2, 2], padding: [0, 0, 0] }],
  ['stride 1', [1, 3, 4, 4, 1], { kernel: [3, 2, 3], stride: [1, 1, 1], padding: [1, 0, 1] }],
  [
    'a stride beyond the kernel',
    [1, 5, 7, 8, 2],
    { kernel: [1, 2, 1], stride: [2, 3, 3], padding: [0, 0, 0] },
  ],
];
