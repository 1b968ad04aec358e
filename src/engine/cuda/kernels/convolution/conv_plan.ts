/** @file Convolution of maps [B, T, H, W, C], and its gradients, by plans of cuDNN. */
import { sizeOf } from '../../../../formats/host_tensor.js';
import { floats } from '../../../record/kernel.js';
import { type ConvolutionGeometry, outputSize } from '../../cudnn/convolution.js';
import type { Builder } from '../../ir/builder.js';
import type { View } from '../../ir/tensor.js';
import { ELEMENT_BYTES } from '../../storage.js';
import type { Policy } from '../lowering.js';
import { planStep } from '../plan_step.js';
import type { FloatStorage } from '../precision.js';

/** What a pass reads: two of x [B, T, H, W, I], weight [O, I, t, h, w] and y [B, T', H', W', O]. The third is its result. */
export type PassOperands =
  | { readonly pass: 'forward'; readonly x: View; readonly weight: View }
  | { readonly pass: 'data'; readonly weight: View; readonly y: View }
  | { readonly pass: 'filter'; readonly x: View; readonly y: View };

const RESULTS = { forward: 'y', data: 'x', filter: 'weight' } as const;

/** A convolution, and the storage of its operands and its result. */
export interface Conv {
  readonly policy: Policy;
  readonly geometry: ConvolutionGeometry;
  readonly storage: FloatStorage;
}

/** The result of a pass, or null if there is no plan. */
export function plannedConvolution(
  b: Builder,
  { policy, geometry, storage }: Conv,
  { pass, ...views }: PassOperands,
): View | null {
  const found = policy.findPlan({ kind: 'convolution', pass, shape: { ...geometry, type: storage } });
  if (!found) return null;
  const { B, I, O, size, kernel } = geometry;
  const shapes = {
    x: [B, ...size, I],
    weight: [O, I, ...kernel],
    y: [B, ...outputSize(geometry), O],
  };
  const result = RESULTS[pass];
  const operands = Object.entries(views).map(([name, view]) => [name, { view: b.stored(view, storage) }]);
  const step = planStep({
    found,
    operands: Object.fromEntries(operands),
    results: { [result]: { result: 0, offset: 0, storage } },
    cost: {
      bytes: ELEMENT_BYTES[storage] * (sizeOf(shapes.x) + sizeOf(shapes.weight) + sizeOf(shapes.y)),
      flops: 2 * sizeOf(shapes.y) * sizeOf(shapes.weight.slice(1)),
    },
  });
  return b.call([{ ...floats(shapes[result]), storage }], [step])[0];
}
