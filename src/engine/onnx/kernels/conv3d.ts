/**
 * @file The lowerings of tfjs's convolution of maps [B, D, H, W, C] and its gradients, as ONNX's Conv and ConvTranspose of maps
 * [B, C, D, H, W]. The model uses the faster kernel in conv.ts instead.
 */
import { type Geometry, conv3dKernels as recorded } from '../../record/kernels/conv3d.js';
import type { GraphBuilder } from '../graph_builder.js';
import { type Lowering, lowered } from '../kernel.js';

export const moved = (g: GraphBuilder, x: string, ...perm: number[]) => g.op('Transpose', [x], { perm });
export const channelsFirst = (g: GraphBuilder, x: string) => moved(g, x, 0, 4, 1, 2, 3);
export const channelsLast = (g: GraphBuilder, x: string) => moved(g, x, 0, 2, 3, 4, 1);

const conv: Lowering = (g, [x, filter], { attributes }) => {
  const { strides, dilations, before, after } = attributes as Geometry;
  const y = g.op('Conv', [channelsFirst(g, x.name), moved(g, filter.name, 4, 3, 0, 1, 2)], {
    strides,
    dilations,
    pads: [...before, ...after],
  });
  return channelsLast(g, y);
};

const gradInput: Lowering = (g, [dy, filter], { attributes, outputs: [{ shape }] }) => {
  const { strides, before } = attributes as Geometry;
  // Positions that are missing at the end, or superfluous if negative, after every position of dy has spread its kernel.
  const missing = strides.map(
    (stride, i) => shape[i + 1] + before[i] - (dy.shape[i + 1] - 1) * stride - filter.shape[i],
  );
  const dx = g.op('ConvTranspose', [channelsFirst(g, dy.name), moved(g, filter.name, 4, 3, 0, 1, 2)], {
    strides,
    pads: [...before, ...missing.map((count) => Math.max(0, -count))],
    output_padding: missing.map((count) => Math.max(0, count)),
  });
  return channelsLast(g, dx);
};

/** x convolved with dy as a kernel, where channels stand for the batch and strides are its dilations. */
const gradFilter: Lowering = (g, [x, dy], { attributes, outputs: [{ shape }] }) => {
  const { strides, before, after } = attributes as Geometry;
  const channelsAndBatch = ({ name }: { name: string }) => moved(g, name, 4, 0, 1, 2, 3);
  const y = g.op('Conv', [channelsAndBatch(x), channelsAndBatch(dy)], {
    dilations: strides,
    pads: [...before, ...after],
  });
  const dfilter = moved(g, y, 2, 3, 4, 0, 1);
  // If strides leave a remainder, dy fits in more positions than the filter has.
  const ends = shape.slice(0, 3);
  return g.op('Slice', [dfilter, g.ints([0, 0, 0]), g.ints(ends), g.ints([0, 1, 2])]);
};

export const conv3dKernels = lowered(recorded, {
  Conv3D: conv,
  Conv3DBackpropInputV2: gradInput,
  Conv3DBackpropFilterV2: gradFilter,
});
