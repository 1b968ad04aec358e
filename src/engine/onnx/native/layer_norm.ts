/** @file Layer normalisation and its gradients, computed by the native library. */
import { floats, lowered } from '../kernel.js';
import { layerNorm, layerNormGrad, rowsOf } from '../kernels/layer_norm.js';

export const nativeLayerNorm = lowered(layerNorm, (g, { x, weight, bias }, { eps, width }) => {
  const rows = rowsOf(x, width);
  const affine = weight && bias ? [weight.name, bias.name] : [];
  const [y] = g.native('LayerNorm', [x.name, ...affine], {
    results: [floats(rows)],
    ints: rows,
    floats: [eps],
  });
  return [y];
});

export const nativeLayerNormGrad = lowered(layerNormGrad, (g, { dy, x, weight }, { eps, width }) => {
  const rows = rowsOf(x, width);
  const operands = [dy.name, x.name, ...(weight ? [weight.name] : [])];
  const ofWeight = weight ? [floats(weight.shape), floats(weight.shape)] : [];
  const [dx, dweight, dbias] = g.native('LayerNormGrad', operands, {
    results: [floats(rows), ...ofWeight],
    ints: rows,
    floats: [eps],
  });
  return weight ? [dx, dweight, dbias] : [dx];
});
