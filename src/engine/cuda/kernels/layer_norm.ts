/** @file Layer normalisation of rows of `width` elements, and its gradients. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { Row } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import { fusedKernel } from './fused_kernel.js';
import { normStorage } from './precision.js';

/** Mean and reciprocal standard deviation of a row. */
function statistics({ sum }: Row, value: Expr, { eps, width }: { eps: number; width: number }) {
  const mean = sum(value).mul(1 / width);
  const centred = value.sub(mean);
  return {
    mean,
    rstd: sum(centred.mul(centred))
      .mul(1 / width)
      .add(eps)
      .fn('rsqrt'),
  };
}

export const layerNorm = fusedKernel('LayerNorm', {
  results: ({ x }) => [floats(x.shape)],
  lower: (b, { x, weight, bias }, { eps, width }, policy) => {
    const size = sizeOf(x.shape);
    const [y] = b.rows(size / width, width, (row) => {
      const value = b.load(x, row.element);
      const { mean, rstd } = statistics(row, value, { eps, width });
      const normal = value.sub(mean).mul(rstd);
      const body = weight && bias ? normal.mul(b.load(weight, row.c)).add(b.load(bias, row.c)) : normal;
      return [{ ...floats(x.shape), storage: normStorage(policy, size), body }];
    });
    return [y];
  },
});

export const layerNormGrad = fusedKernel('LayerNormGrad', {
  results: ({ x, weight }) =>
    weight ? [floats(x.shape), floats(weight.shape), floats(weight.shape)] : [floats(x.shape)],
  lower: (b, { dy, x, weight }, { eps, width }, policy) => {
    const size = sizeOf(x.shape);
    const rows = size / width;
    const [dx, means, deviations] = b.rows(rows, width, (row) => {
      const value = b.load(x, row.element);
      const { mean, rstd } = statistics(row, value, { eps, width });
      const normal = value.sub(mean).mul(rstd);
      const dy1 = b.load(dy, row.element);
      const slope = weight ? dy1.mul(b.load(weight, row.c)) : dy1;
      const meanSlope = row.sum(slope).mul(1 / width);
      const along = normal.mul(row.sum(slope.mul(normal)).mul(1 / width));
      const body = slope.sub(meanSlope).sub(along).mul(rstd);
      return [
        { ...floats(x.shape), storage: normStorage(policy, size), body },
        { ...floats([rows]), isPerRow: true, body: mean },
        { ...floats([rows]), isPerRow: true, body: rstd },
      ];
    });
    if (!weight) return [dx];
    const sumOverRows = (body: (element: Expr, r: Expr) => Expr) =>
      b.reduce(floats(weight.shape), { operator: 'sum', count: rows }, (c, r) =>
        body(r.mul(width).add(c), r),
      );
    const dweight = sumOverRows((element, r) => {
      const normal = b.load(x, element).sub(b.load(means, r)).mul(b.load(deviations, r));
      return b.load(dy, element).mul(normal);
    });
    return [dx, dweight, sumOverRows((element) => b.load(dy, element))];
  },
});
