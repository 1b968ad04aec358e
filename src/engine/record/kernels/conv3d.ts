/** @file tfjs's convolution of maps [B, D, H, W, C] with any kernel, strides and padding, and its gradients. */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import { tf } from '../../tfjs.js';
import { named, type Recording } from '../kernel.js';

type Size = [number, number, number];
type Shape5D = [number, number, number, number, number];

/** Geometry along the axes D, H, W: the attributes of all kernels here. */
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

/** {x, filter [D, H, W, in, out]} → [B, D, H, W, out]. */
const conv: Recording = {
  record: ({ x, filter }, attrs) => {
    assertFloats(x, filter);
    const { shape, geometry } = geometryOf(x.shape, filter.shape, attrs);
    return { inputs: [x, filter], attributes: geometry, outputs: [{ shape, dtype: 'float32' }] };
  },
};

/** {dy, filter} → dx. */
const gradInput: Recording = {
  record: ({ dy, filter }, attrs) => {
    assertFloats(dy, filter);
    const shape = attrs.inputShape as number[];
    const { geometry } = geometryOf(shape, filter.shape, attrs);
    return { inputs: [dy, filter], attributes: geometry, outputs: [{ shape, dtype: 'float32' }] };
  },
};

/** {x, dy} → dfilter. */
const gradFilter: Recording = {
  record: ({ x, dy }, attrs) => {
    assertFloats(x, dy);
    const shape = attrs.filterShape as number[];
    const { geometry } = geometryOf(x.shape, shape, attrs);
    return { inputs: [x, dy], attributes: geometry, outputs: [{ shape, dtype: 'float32' }] };
  },
};

export const conv3dKernels = named({
  Conv3D: conv,
  Conv3DBackpropInputV2: gradInput,
  Conv3DBackpropFilterV2: gradFilter,
});
