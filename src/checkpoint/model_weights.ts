/** @file Loads the weights of a trained model for evaluation and detection: all of them, or an error. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { hostTensor } from '../engine/to_host.js';
import { CheckpointError } from '../errors.js';
import { writePth } from '../formats/pth/pth_writer.js';
import type { PyDict } from '../formats/python/values.js';
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
 * Loads all weights of a model from a file or from the folder of a run, which means its best checkpoint, else its last. If
 * `weight` is empty, the last checkpoint in `outputDir` is loaded. Throws CheckpointError if there is no file, it cannot be
 * read, or its weights do not fit the model exactly.
 */
export function loadModelWeights(model: Module, weight: string, outputDir = '.'): WeightsOrigin {
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

/**
 * Writes the weights of a model as a .pth file that `loadModelWeights` and PyTorch read: `{ model: state dict }`. Creates the
 * folder. Throws CheckpointError if the disk refuses.
 */
export async function saveModelWeights(model: Module, path: string): Promise<void> {
  const state: PyDict = new Map();
  for (const [name, { shape, value }] of model.namedParameters()) state.set(name, hostTensor(value, shape));
  mkdirSync(dirname(path), { recursive: true });
  await writePth(path, new Map([['model', state]]));
}
