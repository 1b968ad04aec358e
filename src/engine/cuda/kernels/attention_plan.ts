/** @file Self-attention by plans of cuDNN, in bfloat16. Letters as in attention.ts. */
import { floats } from '../../record/kernel.js';
import type { Cost } from '../compile/program.js';
import type { AttentionShape } from '../cudnn/attention.js';
import type { NamedPlan } from '../cudnn/plans.js';
import type { Builder } from '../ir/builder.js';
import type { PlanStep } from '../ir/call.js';
import type { View } from '../ir/tensor.js';
import { ELEMENT_BYTES } from '../storage.js';
import type { Policy } from './lowering.js';
import { planStep } from './plan_step.js';

/** Projections [B, N, 3, H, D] in bfloat16. */
export interface PlannedAttention extends AttentionShape {
  readonly qkv: View;
}

/** The output [B, N, H·D] and the statistics [B, H, N]; null if there is no plan. */
export function plannedAttention(
  b: Builder,
  policy: Policy,
  { qkv, B, N, H, D, scale }: PlannedAttention,
): { out: View; statistics: View } | null {
  const found = policy.findPlan({ kind: 'attention', shape: { B, N, H, D, scale } });
  if (!found) return null;
  const step = planStep({
    found,
    operands: { qkv: { view: qkv } },
    results: {
      out: { result: 0, offset: 0, storage: 'bfloat16' },
      statistics: { result: 1, offset: 0, storage: 'float32' },
    },
    cost: costOf({ B, N, H, D }, { tensors: 4, products: 2 }),
  });
  const [out, statistics] = b.call(
    [{ ...floats([B, N, H * D]), storage: 'bfloat16' }, floats([B, H, N])],
    [step],
  );
  return { out, statistics };
}

/** What the gradient needs besides: dy and out [B, N, H·D], statistics [B, H, N]. */
export interface PlannedGradient extends PlannedAttention {
  readonly dy: View;
  readonly out: View;
  readonly statistics: View;
}

/** The gradient of the projections [B, N, 3·H·D]; null if there are no plans. */
export function plannedAttentionGradient(b: Builder, policy: Policy, given: PlannedGradient): View | null {
  const { B, N, H, D } = given;
  const groups = plannedGroups(policy, given);
  if (!groups) return null;
  const stored: PlannedGradient = {
    ...given,
    dy: b.stored(given.dy, 'bfloat16'),
    out: b.stored(given.out, 'bfloat16'),
    statistics: b.stored(given.statistics, 'float32'),
  };
  const steps = groups.map((group) => gradientStep(stored, group));
  return b.call([{ ...floats([B, N, 3 * H * D]), storage: 'bfloat16' }], steps)[0];
}

/** Neighbouring clips that one plan computes together. */
interface PlannedClips {
  readonly first: number;
  readonly count: number;
  readonly found: NamedPlan;
}

/** Statistics of clips begin at multiples of this many elements, which are 16 bytes. */
const STATISTICS_ALIGNMENT = 4;

/** Splits the clips into as few groups as the plans' workspace allows. */
function plannedGroups(policy: Policy, { B, N, H, D, scale }: PlannedGradient): PlannedClips[] | null {
  for (let size = B; size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    if (size < B && (size * H * N) % STATISTICS_ALIGNMENT !== 0) continue;
    const groups = Array.from({ length: Math.ceil(B / size) }, (_, group) => {
      const first = group * size;
      const count = Math.min(size, B - first);
      const found = policy.findPlan({ kind: 'attention-gradient', shape: { B: count, N, H, D, scale } });
      return found && { first, count, found };
    });
    if (groups.every((group) => group !== null)) return groups;
  }
  return null;
}

function gradientStep(
  { qkv, out, statistics, dy, N, H, D }: PlannedGradient,
  { first, count, found }: PlannedClips,
): PlanStep {
  const token = H * D;
  const offset = first * N * token;
  return planStep({
    found,
    operands: {
      qkv: { view: qkv, offset: 3 * offset },
      out: { view: out, offset },
      statistics: { view: statistics, offset: first * H * N },
      dout: { view: dy, offset },
    },
    results: { dqkv: { result: 0, offset: 3 * offset, storage: 'bfloat16' } },
    cost: costOf({ B: count, N, H, D }, { tensors: 8, products: 5 }),
  });
}

/** Of reading and writing `tensors` tensors [B, N, H, D] and the statistics, and of `products` products of N × N × D. */
function costOf(
  { B, N, H, D }: Omit<AttentionShape, 'scale'>,
  { tensors, products }: { readonly tensors: number; readonly products: number },
): Cost {
  const S = B * H;
  return { bytes: S * N * (tensors * D * ELEMENT_BYTES.bfloat16 + 4), flops: 2 * products * S * N * N * D };
}
