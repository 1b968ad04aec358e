/** @file Convolution 3×3×3 with padding 1 of maps [B, T, H, W, C], and its gradients, by plans of cuDNN. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { ConvolutionShape } from '../cudnn/convolution.js';
import type { Builder } from '../ir/builder.js';
import type { View } from '../ir/tensor.js';
import { ELEMENT_BYTES } from '../storage.js';
import type { Policy } from './lowering.js';
import { planStep } from './plan_step.js';
import type { FloatStorage } from './precision.js';

/** What a pass reads: two of x [B, T, H, W, I], weight [O, I, 3, 3, 3] and y [B, T, H, W, O]. The third is its result. */
export type PlannedConvolution = { readonly storage: FloatStorage } & (
  | { readonly pass: 'forward'; readonly x: View; readonly weight: View }
  | { readonly pass: 'data'; readonly weight: View; readonly y: View }
  | { readonly pass: 'filter'; readonly x: View; readonly y: View }
);

const RESULTS = { forward: 'y', data: 'x', filter: 'weight' } as const;

/** The result of a pass, or null if there is no plan. */
export function plannedConvolution(b: Builder, policy: Policy, given: PlannedConvolution): View | null {
  const { pass, storage } = given;
  const shape = shapeOf(given);
  const found = policy.findPlan({ kind: 'convolution', pass, shape });
  if (!found) return null;
  const { B, I, O, size } = shape;
  const shapes = { x: [B, ...size, I], weight: [O, I, ...shape.kernel], y: [B, ...size, O] };
  const result = RESULTS[pass];
  const { pass: _, storage: __, ...views } = given;
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

function shapeOf(given: PlannedConvolution): ConvolutionShape {
  const [B, T, H, W] = given.pass === 'data' ? given.y.shape : given.x.shape;
  const [O, I] =
    given.pass === 'filter' ? [given.y.shape[4], given.x.shape[4]] : given.weight.shape.slice(0, 2);
  return {
    B,
    I,
    O,
    size: [T, H, W],
    kernel: [3, 3, 3],
    stride: [1, 1, 1],
    padding: [1, 1, 1],
    type: given.storage,
  };
}
