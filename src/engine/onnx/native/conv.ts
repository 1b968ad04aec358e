/** @file The convolution 3×3×3 and its gradients as native kernels (conv.c, conv_filter.c). */
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';

interface Shaped {
  readonly shape: readonly number[];
}

/** A map like `map`, with C channels. */
const mapOf = ({ shape }: Shaped, C: number) => floats([...shape.slice(0, 4), C]);
const weightOf = (x: Shaped, dy: Shaped) => floats([dy.shape[4], x.shape[4], 3, 3, 3]);

/** The extents of a map and the channels in and out, which the kernels read. */
const sizes = ({ shape }: Shaped, I: number, O: number) => [...shape.slice(0, 4), I, O];

export const nativeConv = fusedKernel('Conv3x3x3', {
  results: ({ x, weight }) => [mapOf(x, weight.shape[0])],
  lower: (g, { x, weight }) => {
    const [O, I] = weight.shape;
    const [y] = g.native('Conv3x3x3', [x.name, weight.name], {
      results: [mapOf(x, O)],
      ints: sizes(x, I, O),
    });
    return [y];
  },
});

export const nativeConvGradInput = fusedKernel('Conv3x3x3GradInput', {
  results: ({ dy, weight }) => [mapOf(dy, weight.shape[1])],
  lower: (g, { dy, weight }) => {
    const [O, I] = weight.shape;
    const [dx] = g.native('Conv3x3x3GradInput', [dy.name, weight.name], {
      results: [mapOf(dy, I)],
      ints: sizes(dy, I, O),
    });
    return [dx];
  },
});

export const nativeConvGradFilter = fusedKernel('Conv3x3x3GradFilter', {
  results: ({ x, dy }) => [weightOf(x, dy)],
  lower: (g, { x, dy }) => {
    const [dweight] = g.native('Conv3x3x3GradFilter', [x.name, dy.name], {
      results: [weightOf(x, dy)],
      ints: sizes(x, x.shape[4], dy.shape[4]),
    });
    return [dweight];
  },
});
