/** @file Convolution of maps [B, T, H, W, C] with any kernel, stride, dilation and number of groups (torch.nn.Conv3d). */
import type { ConvAttributes, Size3, Windows } from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';
import { sizeOf } from '../formats/host_tensor.js';
import { reluGrad, sumOfRows, withResidual } from './functional.js';
import { fused } from './fused.js';
import { differentiable } from './tape.js';

export interface Conv3dOptions {
  readonly stride?: Size3;
  /** Zeros before and after each axis. */
  readonly padding?: Size3;
  readonly dilation?: Size3;
  readonly groups?: number;
  /** [out], added to each position. */
  readonly bias?: tf.Tensor;
  /** Added to the result, whose shape it has. */
  readonly residual?: tf.Tensor;
  /** Ends with max(·, 0). */
  readonly relu?: boolean;
}

const ONE: Size3 = [1, 1, 1];
const NONE: Size3 = [0, 0, 0];

/**
 * Convolves x [B, T, H, W, in] with weight [out, in / groups, t, h, w]. The result has
 * ⌊(extent + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1 positions along each axis, and `out` channels.
 */
export function conv3d(x: tf.Tensor, weight: tf.Tensor, options: Conv3dOptions = {}): tf.Tensor {
  const { stride = ONE, padding = NONE, dilation = ONE, groups = 1, bias, residual, relu = false } = options;
  const kernel = dilation.reduce<tf.Tensor>((spread, step, i) => withGaps(spread, i + 2, step), weight);
  if (groups === 1) return convolve(x, kernel, { stride, padding, bias, residual, relu });
  const channels = x.shape[x.rank - 1] / groups;
  const filters = kernel.shape[0] / groups;
  const parts = Array.from({ length: groups }, (_, g) => {
    const part = x.slice([0, 0, 0, 0, g * channels], [-1, -1, -1, -1, channels]);
    const own = kernel.slice([g * filters, 0, 0, 0, 0], [filters, -1, -1, -1, -1]);
    return convolve(part, own, { stride, padding, relu: false });
  });
  const y = tf.concat(parts, 4);
  return withResidual(bias ? y.add(bias) : y, { residual, relu });
}

/** Puts `step` − 1 zeros between the positions of an axis. */
function withGaps(x: tf.Tensor, axis: number, step: number): tf.Tensor {
  const extent = x.shape[axis];
  if (step === 1 || extent === 1) return x;
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const apart = x.reshape([sizeOf(before), extent, 1, sizeOf(after)]).pad([
    [0, 0],
    [0, 0],
    [0, step - 1],
    [0, 0],
  ]);
  const spread = step * (extent - 1) + 1;
  return apart
    .reshape([sizeOf(before), extent * step, sizeOf(after)])
    .slice([0, 0, 0], [-1, spread, -1])
    .reshape([...before, spread, ...after]);
}

type Options = ConvAttributes & Pick<Conv3dOptions, 'bias' | 'residual'> & { readonly relu: boolean };

function convolve(
  x: tf.Tensor,
  weight: tf.Tensor,
  { bias, residual, relu, ...geometry }: Options,
): tf.Tensor {
  const optional = [bias, residual].filter((term) => term !== undefined);
  return differentiable(
    [x, weight, ...optional],
    (save) => {
      const [y] = fused('Conv3d', { x, weight, bias, residual }, { ...geometry, relu }, () => [
        composed(x, weight, { bias, residual, relu, ...geometry }),
      ]);
      save(relu ? [x, weight, y] : [x, weight]);
      return y;
    },
    (dy, [input, w, y]) => {
      const dz = relu ? reluGrad(dy, y) : dy;
      const [dx] = fused(
        'Conv3dGradInput',
        { dy: dz, weight: w },
        { ...geometry, shape: input.shape },
        () => [gradInput(dz, w, input.shape, geometry)],
      );
      const kernel = kernelOf(w.shape);
      const [dw] = fused('Conv3dGradFilter', { x: input, dy: dz }, { ...geometry, kernel }, () => [
        gradFilter(input, dz, w.shape, geometry),
      ]);
      return [dx, dw, ...(bias ? [sumOfRows(dz)] : []), ...(residual ? [dz] : [])];
    },
  );
}

/** Weights in tfjs's order, [t, h, w, in, out]. */
const toFilter = (weight: tf.Tensor) => weight.transpose([2, 3, 4, 1, 0]);

/** Whether tfjs's kernels pad a map themselves, as far as `same` means this padding. */
const isSame = ({ stride, padding, kernel }: Windows) =>
  padding.every((width, i) => stride[i] === 1 && 2 * width === kernel[i] - 1);

/** The padding that is left to do. */
function ownPadding(windows: Windows): Size3 {
  return isSame(windows) ? NONE : windows.padding;
}

const isPadded = (padding: Size3) => padding.some((width) => width > 0);

function padded(x: tf.Tensor, windows: Windows): tf.Tensor {
  const padding = ownPadding(windows);
  if (!isPadded(padding)) return x;
  return x.pad([0, ...padding, 0].map((width) => [width, width] as [number, number]));
}

function runKernel(name: string, inputs: tf.NamedTensorMap, windows: Windows, more = {}): tf.Tensor {
  const attributes = {
    strides: [...windows.stride],
    pad: isSame(windows) ? 'same' : 'valid',
    dataFormat: 'NDHWC',
    dilations: [1, 1, 1],
    ...more,
  };
  return tf.engine().runKernel(name, inputs, attributes);
}

const kernelOf = ([, , t, h, w]: readonly number[]): Size3 => [t, h, w];

function composed(
  x: tf.Tensor,
  weight: tf.Tensor,
  { bias, residual, relu, ...geometry }: Options,
): tf.Tensor {
  const windows = { ...geometry, kernel: kernelOf(weight.shape) };
  const y = runKernel('Conv3D', { x: padded(x, windows), filter: toFilter(weight) }, windows);
  return withResidual(bias ? y.add(bias) : y, { residual, relu });
}

function gradInput(
  dy: tf.Tensor,
  weight: tf.Tensor,
  [B, T, H, W, C]: readonly number[],
  geometry: ConvAttributes,
): tf.Tensor {
  const windows = { ...geometry, kernel: kernelOf(weight.shape) };
  const padding = ownPadding(windows);
  const [t, h, w] = padding;
  const inputShape = [B, T + 2 * t, H + 2 * h, W + 2 * w, C];
  const filter = toFilter(weight);
  const whole = runKernel('Conv3DBackpropInputV2', { dy, filter }, windows, { inputShape });
  return isPadded(padding) ? whole.slice([0, t, h, w, 0], [B, T, H, W, C]) : whole;
}

function gradFilter(
  x: tf.Tensor,
  dy: tf.Tensor,
  [out, channels, ...kernel]: readonly number[],
  geometry: ConvAttributes,
): tf.Tensor {
  const [t, h, w] = kernel;
  const windows: Windows = { ...geometry, kernel: [t, h, w] };
  const filterShape = [...kernel, channels, out];
  const turned = runKernel('Conv3DBackpropFilterV2', { x: padded(x, windows), dy }, windows, { filterShape });
  return turned.transpose([4, 3, 0, 1, 2]);
}
