/** @file Batch normalisation and its gradients, computed by the native library. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats, type KernelResult } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';

interface Shaped {
  readonly shape: readonly number[];
}

/** Positions and channels of a map. */
const extentsOf = ({ shape }: Shaped) => [sizeOf(shape.slice(0, -1)), shape[shape.length - 1]];

/** A map like x, and two vectors of a number for each channel. */
function resultsOf(x: Shaped, weight: Shaped): [KernelResult, KernelResult, KernelResult] {
  return [floats(x.shape), floats(weight.shape), floats(weight.shape)];
}

export const nativeBatchNorm = fusedKernel('BatchNorm', {
  results: ({ x, weight }) => resultsOf(x, weight),
  lower: (g, { x, weight, bias, residual }, { eps, relu }) => {
    const [y, mean, variance] = g.native(
      'BatchNorm',
      [x.name, weight.name, bias.name, ...(residual ? [residual.name] : [])],
      { results: resultsOf(x, weight), ints: [...extentsOf(x), Number(relu)], floats: [eps] },
    );
    return [y, mean, variance];
  },
});

export const nativeBatchNormGrad = fusedKernel('BatchNormGrad', {
  results: ({ x, weight }) => resultsOf(x, weight),
  lower: (g, { dy, x, weight, mean, variance, y }, { eps }) => {
    const [dx, dweight, dbias] = g.native(
      'BatchNormGrad',
      [dy, x, weight, mean, variance, ...(y ? [y] : [])].map(({ name }) => name),
      { results: resultsOf(x, weight), ints: extentsOf(x), floats: [eps] },
    );
    return [dx, dweight, dbias];
  },
});
