/** @file Steps of calls that plans of cuDNN compute. */
import type { Cost } from '../compile/program.js';
import type { NamedPlan } from '../cudnn/plans.js';
import type { PlanStep, ResultSlice, Slice } from '../ir/call.js';
import type { View } from '../ir/tensor.js';
import { ELEMENT_BYTES } from '../storage.js';
import type { FloatStorage } from './precision.js';

/** A plan, and the tensors that its arguments name. */
export interface PlannedStep {
  readonly found: NamedPlan;
  /** What it reads, each from an element on; the first by default. */
  readonly operands: Readonly<Record<string, { readonly view: View; readonly offset?: number }>>;
  /** What it writes, in results of the call. */
  readonly results: Readonly<Record<string, ResultSlice & { readonly storage: FloatStorage }>>;
  readonly cost: Cost;
}

/** The step of a call that a plan computes. */
export function planStep({ found: { name, plan }, operands, results, cost }: PlannedStep): PlanStep {
  const read: [id: number, Slice][] = [];
  const written: [id: number, ResultSlice][] = [];
  for (const { id, name, offset } of plan.arguments) {
    const operand = operands[name];
    if (operand) {
      const { tensor } = operand.view;
      const elements = offset / ELEMENT_BYTES[tensor.storage];
      read.push([id, { tensor, offset: (operand.offset ?? 0) + elements }]);
    } else {
      const { result, storage, offset: first } = results[name];
      written.push([id, { result, offset: first + offset / ELEMENT_BYTES[storage] }]);
    }
  }
  return {
    kind: 'plan',
    plan: name,
    ids: [...read, ...written].map(([id]) => id),
    operands: read.map(([, slice]) => slice),
    results: written.map(([, slice]) => slice),
    workspaceBytes: plan.workspaceBytes,
    cost,
  };
}
