/** @file Maxima over windows, and their gradient, as native kernels (max_pool3d.c). */
import { countWindows, type Windows } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';
import { windowInts } from './windows.js';

const resultOf = (shape: readonly number[], windows: Windows) =>
  floats([shape[0], ...countWindows(shape, windows), shape[4]]);

export const nativeMaxPool3d = fusedKernel('MaxPool3d', {
  results: ({ x }, windows) => [resultOf(x.shape, windows)],
  lower: (g, { x }, windows) => {
    const ints = windowInts(x.shape, windows);
    return [g.native('MaxPool3d', [x.name], { results: [resultOf(x.shape, windows)], ints })[0]];
  },
});

export const nativeMaxPool3dGrad = fusedKernel('MaxPool3dGrad', {
  results: ({ x }) => [floats(x.shape)],
  lower: (g, { dy, x, y }, windows) => {
    const operands = [dy.name, x.name, y.name];
    const ints = windowInts(x.shape, windows);
    return [g.native('MaxPool3dGrad', operands, { results: [floats(x.shape)], ints })[0]];
  },
});
