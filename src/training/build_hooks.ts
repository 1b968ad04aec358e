/** @file The hooks of every run: metrics, checkpoints, TensorBoard, validation. */
import { join } from 'node:path';
import { type Config, dumpConfig } from '../config/index.js';
import type { Engine } from '../engine/index.js';
import type { EvaluationSet } from '../evaluation/evaluation_set.js';
import type { Logger } from '../run/log.js';
import { METRICS, TENSORBOARD_FOLDER } from '../run/run_folder.js';
import { residentMemory } from '../util/memory.js';
import type { Hook } from './hook.js';
import { CheckpointHook } from './hooks/checkpoints.js';
import { MetricsHook } from './hooks/metrics.js';
import { TensorBoardHook } from './hooks/tensorboard.js';
import { earlierEvaluations, ValidationHook } from './hooks/validation.js';
import { type EvaluationFlags, validationSchedule } from './open_evaluation.js';

export interface HookOptions extends EvaluationFlags {
  /** Writes TensorBoard events into OUTPUT_DIR/tensorboard. */
  readonly tensorBoard?: boolean;
  /** Iterations between two histograms of every weight for TensorBoard, or null. */
  readonly tensorBoardHistograms?: number | null;
}

/** Start of a run, from which its hooks are built. */
export interface HookContext {
  readonly cfg: Config;
  readonly log: Logger;
  readonly engine: Pick<Engine, 'memory'>;
  readonly startIteration: number;
  /** Whether the run goes on from its own folder's last checkpoint. */
  readonly isContinued: boolean;
  readonly evaluationSet: EvaluationSet | null;
}

/** Returns the hooks in the order in which they are called. Throws UserError if a file cannot be written. */
export function buildHooks(context: HookContext, options: HookOptions): Hook[] {
  const { cfg, log, engine, startIteration, isContinued, evaluationSet } = context;
  const { SOLVER, OUTPUT_DIR } = cfg;
  const memory = () => engine.memory();
  const hooks: Hook[] = [
    // The engine's own report asks the GPU, which takes too long for every iteration.
    new MetricsHook({ file: join(OUTPUT_DIR, METRICS), memory: () => ({ rssBytes: residentMemory() }) }, log),
    new CheckpointHook({
      period: SOLVER.CHECKPOINT_PERIOD * SOLVER.ITER_PER_EPOCH,
      seconds: 60 * SOLVER.CHECKPOINT_MINUTES,
    }),
  ];
  if (options.tensorBoard) {
    hooks.push(
      new TensorBoardHook({
        folder: join(OUTPUT_DIR, TENSORBOARD_FOLDER),
        log,
        configYaml: dumpConfig(cfg),
        startIteration,
        histogramPeriod: options.tensorBoardHistograms ?? null,
        memory,
        testSet: evaluationSet?.dataset ?? null,
      }),
    );
  }
  if (evaluationSet) {
    const earlier = earlierEvaluations(OUTPUT_DIR, startIteration, isContinued);
    hooks.push(new ValidationHook(validationSchedule(cfg, options), earlier));
  }
  return hooks;
}
