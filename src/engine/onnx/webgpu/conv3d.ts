/** @file The gradient of tfjs's convolution on a GPU: the provider's ConvTranspose takes no maps of three axes. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { conv3dKernels, type Geometry } from '../../record/kernels/conv3d.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import type { Kernel } from '../kernel.js';
import { channelsFirst, channelsLast, moved } from '../kernels/conv3d.js';

interface Spread {
  readonly strides: readonly number[];
  /** Positions before and after each axis; superfluous ones if negative. */
  readonly pads: readonly [readonly number[], readonly number[]];
}

/** Puts `stride` − 1 zeros after each position of the axes D, H, W of a map [B, D, H, W, C], and pads or cuts its borders. */
function spread(g: GraphBuilder, { name, shape }: Operand, { strides, pads }: Spread): string {
  let [map, size] = [name, [...shape]];
  for (const [i, stride] of strides.entries()) {
    const axis = i + 1;
    const [before, after] = [size.slice(0, axis + 1), size.slice(axis + 1)].map(sizeOf);
    if (stride > 1) {
      const positions = g.reshape(map, [before, 1, after]);
      map = g.op('Pad', [positions, g.ints([0, 0, 0, 0, stride - 1, 0])]);
      size = size.map((extent, other) => (other === axis ? extent * stride : extent));
    }
  }
  const [starts, ends] = pads;
  return g.op('Pad', [g.reshape(map, size), g.ints([0, ...starts, 0, 0, ...ends, 0])]);
}

/** Reverses the first three axes of a filter [D, H, W, in, out]. */
function mirrored(g: GraphBuilder, { name, shape }: Operand): string {
  const [places, channels] = [shape.slice(0, 3), shape.slice(3)].map(sizeOf);
  const backwards = Array.from({ length: places }, (_, i) => places - 1 - i);
  const rows = g.reshape(name, [places, channels]);
  return g.reshape(g.op('Gather', [rows, g.constant('int32', [places], backwards)], { axis: 0 }), shape);
}

/** {dy, filter} → dx: the spread dy convolved with the mirrored filter. */
export const convGradInput: Kernel = {
  ...conv3dKernels.Conv3DBackpropInputV2,
  lower: (g, [dy, filter], { attributes, outputs: [{ shape }] }) => {
    const { strides, before } = attributes as Geometry;
    const starts = strides.map((_, i) => filter.shape[i] - 1 - before[i]);
    const ends = strides.map((stride, i) => shape[i + 1] + before[i] - dy.shape[i + 1] * stride);
    const map = spread(g, dy, { strides, pads: [starts, ends] });
    const weights = moved(g, mirrored(g, filter), 3, 4, 0, 1, 2);
    return channelsLast(g, g.op('Conv', [channelsFirst(g, map), weights]));
  },
};
