/**
 * @file tfjs's convolution of maps [B, D, H, W, C] with any kernel, strides and padding, and its gradients, as ONNX's
 * Conv and ConvTranspose of maps [B, C, D, H, W]. The model uses the faster kernel in conv.ts instead.
 */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import { tf } from '../../tfjs.js';
import type { GraphBuilder } from '../graph_builder.js';
import type { Kernel } from '../kernel.js';

type Size = [number, number, number];
type Shape5D = [number, number, number, number, number];

/** Geometry along the axes D, H, W. */
export interface Geometry {
  strides: Size;
  dilations: Size;
  /** Padding before and after. */
  before: Size;
  after: Size;
}

/** If strides are longer than the kernel, tfjs's `same` gives a negative padding; TensorFlow then pads nothing. */
function positive(...padding: Size): Size {
  return padding.map((width) => Math.max(0, width)) as Size;
}

function geometryOf(
  x: readonly number[],
  filter: readonly number[],
  { strides, pad, dilations = 1 }: NamedAttrMap,
) {
  const info = tf.backend_util.computeConv3DInfo(
    x as Shape5D,
    filter as Shape5D,
    strides as number | Size,
    dilations as number | Size,
    pad as 'same' | 'valid',
  );
  const { front, top, left, back, bottom, right } = info.padInfo;
  const geometry: Geometry = {
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilations: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    before: positive(front, top, left),
    after: positive(back, bottom, right),
  };
  return { shape: info.outShape, geometry };
}

function assertFloats(...operands: TensorInfo[]): void {
  for (const { dtype } of operands)
    tf.util.assert(dtype === 'float32', () => `convolution works on float32, not ${dtype}`);
}

export const moved = (g: GraphBuilder, x: string, ...perm: number[]) => g.op('Transpose', [x], { perm });
export const channelsFirst = (g: GraphBuilder, x: string) => moved(g, x, 0, 4, 1, 2, 3);
export const channelsLast = (g: GraphBuilder, x: string) => moved(g, x, 0, 2, 3, 4, 1);

/** {x, filter [D, H, W, in, out]} → [B, D, H, W, out]. */
const conv: Kernel = {
  name: 'Conv3D',
  record: ({ x, filter }, attrs) => {
    assertFloats(x, filter);
    const { shape, geometry } = geometryOf(x.shape, filter.shape, attrs);
    return { inputs: [x, filter], attributes: geometry, outputs: [{ shape, dtype: 'float32' }] };
  },
  lower: (g, [x, filter], { attributes }) => {
    const { strides, dilations, before, after } = attributes as Geometry;
    const y = g.op('Conv', [channelsFirst(g, x.name), moved(g, filter.name, 4, 3, 0, 1, 2)], {
      strides,
      dilations,
      pads: [...before, ...after],
    });
    return channelsLast(g, y);
  },
};

/** {dy, filter} → dx. */
export const convGradInput: Kernel = {
  name: 'Conv3DBackpropInputV2',
  record: ({ dy, filter }, attrs) => {
    assertFloats(dy, filter);
    const shape = attrs.inputShape as number[];
    const { geometry } = geometryOf(shape, filter.shape, attrs);
    return { inputs: [dy, filter], attributes: geometry, outputs: [{ shape, dtype: 'float32' }] };
  },
  lower: (g, [dy, filter], { attributes, outputs: [{ shape }] }) => {
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
  },
};

/** {x, dy} → dfilter: x convolved with dy as a kernel, where channels stand for the batch and strides are its dilations. */
const gradFilter: Kernel = {
  name: 'Conv3DBackpropFilterV2',
  record: ({ x, dy }, attrs) => {
    assertFloats(x, dy);
    const shape = attrs.filterShape as number[];
    const { geometry } = geometryOf(x.shape, shape, attrs);
    return { inputs: [x, dy], attributes: geometry, outputs: [{ shape, dtype: 'float32' }] };
  },
  lower: (g, [x, dy], { attributes, outputs: [{ shape }] }) => {
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
  },
};

export const conv3dKernels: Kernel[] = [conv, convGradInput, gradFilter];
