/** @file Layer normalisation and its gradients, computed by the native library. */
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';
import { layerNorm, layerNormGrad, rowsOf } from '../kernels/layer_norm.js';

export const nativeLayerNorm = fusedKernel('LayerNorm', {
  ...layerNorm.definition,
  lower: (g, { x, weight, bias }, { eps, width }) => {
    const rows = rowsOf(x, width);
    const affine = weight && bias ? [weight.name, bias.name] : [];
    const call = { results: [floats(rows)], ints: rows, floats: [eps] };
    const [y] = g.native('LayerNorm', [x.name, ...affine], call);
    return [y];
  },
});

export const nativeLayerNormGrad = fusedKernel('LayerNormGrad', {
  ...layerNormGrad.definition,
  lower: (g, { dy, x, weight }, { eps, width }) => {
    const rows = rowsOf(x, width);
    const ofWeight = weight ? [floats(weight.shape), floats(weight.shape)] : [];
    const call = { results: [floats(rows), ...ofWeight], ints: rows, floats: [eps] };
    const operands = [dy.name, x.name, ...(weight ? [weight.name] : [])];
    const [dx, dweight, dbias] = g.native('LayerNormGrad', operands, call);
    return weight ? [dx, dweight, dbias] : [dx];
  },
});
