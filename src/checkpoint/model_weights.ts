/** @file Loads the weights of a trained model for evaluation and detection: all of them, or an error. */
import { CheckpointError } from '../errors.js';
import type { Module } from '../nn/module.js';
import { loadCheckpoint } from './checkpoint_parts.js';
import { Checkpointer } from './checkpointer.js';
import { checkpointsIn } from './run_checkpoints.js';

export interface WeightsOrigin {
  readonly path: string;
  /** Training steps of the weights; null if unknown. */
  readonly iteration: number | null;
  /** How the file was found if MODEL.WEIGHT does not name it. */
  readonly note?: string;
  /** Why it may be the wrong file. */
  readonly warning?: string;
}

/**
 * Loads MODEL.WEIGHT (`weight`), or without it the last checkpoint in `outputDir`. The folder of a run stands for its best
 * checkpoint, or else its last. Throws CheckpointError if there is no file, it cannot be read, or it is not exactly of this
 * model.
 */
export function loadModelWeights(model: Module, weight: string, outputDir: string): WeightsOrigin {
  const request = { weight, resume: false, transfer: false, noHead: false };
  const plan = new Checkpointer(outputDir).plan(request, 'best');
  if (plan === null) {
    throw new CheckpointError(
      `MODEL.WEIGHT is empty and ${outputDir} has no last_checkpoint: name the weights of a trained model, ` +
        `for example MODEL.WEIGHT ${checkpointsIn(outputDir)[0]?.path ?? 'output/model_final.pth'}`,
    );
  }
  const parameters = new Map(model.namedParameters());
  const { iteration } = loadCheckpoint({ ...plan, coverage: 'whole model' }, parameters, (name, data) =>
    parameters.get(name)?.set(data),
  );
  const { path, note, warning } = plan;
  return { path, iteration, note, warning };
}
