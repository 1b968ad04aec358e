/** @file Convolutions and their gradients as native kernels (conv3d.c, conv3d_filter.c, conv3d_winograd.c). */
import { type ConvAttributes, countWindows, type Size3, type Windows } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';
import { windowInts } from './windows.js';

interface Shaped {
  readonly shape: readonly number[];
}

const windowsOf = (weight: Shaped, { stride, padding }: ConvAttributes): Windows => ({
  kernel: weight.shape.slice(2) as unknown as Size3,
  stride,
  padding,
});

function resultOf(x: Shaped, weight: Shaped, attributes: ConvAttributes) {
  const [B] = x.shape;
  return floats([B, ...countWindows(x.shape, windowsOf(weight, attributes)), weight.shape[0]]);
}

export const nativeConv3d = fusedKernel('Conv3d', {
  results: ({ x, weight }, attributes) => [resultOf(x, weight, attributes)],
  lower: (g, { x, weight, bias, residual }, attributes) => {
    const ints = windowInts(x.shape, windowsOf(weight, attributes));
    const operands = [x.name, weight.name, bias?.name ?? '', residual?.name ?? ''];
    const [y] = g.native('Conv3d', operands, {
      results: [resultOf(x, weight, attributes)],
      ints: [...ints, weight.shape[0], Number(attributes.relu)],
    });
    return [y];
  },
});

export const nativeConv3dGradInput = fusedKernel('Conv3dGradInput', {
  results: (_, { shape }) => [floats(shape)],
  lower: (g, { dy, weight }, { shape, ...attributes }) => {
    const ints = windowInts(shape, windowsOf(weight, attributes));
    const [dx] = g.native('Conv3dGradInput', [dy.name, weight.name], {
      results: [floats(shape)],
      ints: [...ints, weight.shape[0]],
    });
    return [dx];
  },
});

export const nativeConv3dGradFilter = fusedKernel('Conv3dGradFilter', {
  results: ({ x, dy }, { kernel }) => [floats([dy.shape[4], x.shape[4], ...kernel])],
  lower: (g, { x, dy }, windows) => {
    const [dweight] = g.native('Conv3dGradFilter', [x.name, dy.name], {
      results: [floats([dy.shape[4], x.shape[4], ...windows.kernel])],
      ints: [...windowInts(x.shape, windows), dy.shape[4]],
    });
    return [dweight];
  },
});
