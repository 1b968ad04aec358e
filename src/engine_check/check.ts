/** @file The check of an engine: kernel families, training steps, speed and memory. */
import { onCudaVariant } from '../engine/cuda/variants.js';
import type { Engine, EngineMemory } from '../engine/index.js';
import { cudaFamilies } from './families/cuda.js';
import { FAMILIES } from './families/index.js';
import { type FamilyOutcome, runFamily } from './run_family.js';
import { measureSpeed, type Speed } from './speed/measure.js';
import { checkTraining, type TrainingOutcome } from './training_step/check_training.js';

/** A finished part of the check. */
export type CheckPart =
  | { readonly kind: 'family'; readonly outcome: FamilyOutcome }
  | { readonly kind: 'training'; readonly outcome: TrainingOutcome }
  | { readonly kind: 'speed'; readonly outcome: Speed };

/** Everything that the check found. */
export interface CheckReport {
  readonly engine: Engine;
  readonly families: readonly FamilyOutcome[];
  readonly training: TrainingOutcome;
  readonly speed: Speed;
  /** At the end of the check. */
  readonly memory: EngineMemory;
  /** One line for each difference and each exception; empty if the engine computes correctly. */
  readonly failures: readonly string[];
  /** One line for each part whose results differ from run to run. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}

export interface CheckListener {
  /** A part begins. */
  begin(what: string): void;
  end(part: CheckPart): void;
}

/** Checks the current engine. An exception is a failure of its part, and the other parts go on. */
export async function checkEngine(engine: Engine, listener: CheckListener): Promise<CheckReport> {
  const start = performance.now();
  const outcomes: FamilyOutcome[] = [];
  for (const family of FAMILIES) {
    listener.begin(family.name);
    const outcome = await runFamily(family);
    outcomes.push(outcome);
    listener.end({ kind: 'family', outcome });
  }
  for (const [variant, family] of cudaFamilies()) {
    listener.begin(family.name);
    const outcome = await onCudaVariant(variant, () => runFamily(family));
    outcomes.push(outcome);
    listener.end({ kind: 'family', outcome });
  }
  listener.begin('training steps');
  const training = await checkTraining();
  listener.end({ kind: 'training', outcome: training });
  listener.begin('speed');
  const speed = await measureSpeed();
  listener.end({ kind: 'speed', outcome: speed });
  return {
    engine,
    families: outcomes,
    training,
    speed,
    memory: engine.memory(),
    failures: [
      ...outcomes.flatMap(({ failures }) => failures),
      ...training.failures,
      ...(speed.problem === null ? [] : [`speed: ${speed.problem}`]),
    ],
    warnings: [
      ...outcomes.filter(({ deterministic }) => !deterministic).map(({ family }) => family.name),
      ...(training.deterministic ? [] : ['training steps']),
    ].map((name) => `${name}: two runs give different results`),
    seconds: (performance.now() - start) / 1000,
  };
}
