/** @file Loads the weights of a trained model for evaluation and detection: all of them, or an error. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, differingSettings } from '../config/index.js';
import { CheckpointError } from '../errors.js';
import { writePth } from '../formats/pth/pth_writer.js';
import type { PyDict, PyValue } from '../formats/python/values.js';
import { openWeightFile, type WeightFile } from '../formats/weight_file.js';
import { Detector } from '../model/detector.js';
import type { Module } from '../nn/module.js';
import { loadCheckpoint } from './checkpoint_parts.js';
import { Checkpointer, type LoadPlan } from './checkpointer.js';
import { infoOfModel } from './info_of_model.js';
import { MODEL_INFO, type ModelInfo, modelInfoOf, packModelInfo } from './model_info.js';
import { modelState } from './model_state.js';
import { checkpointsIn } from './run_checkpoints.js';

export interface WeightsOrigin {
  readonly path: string;
  /** Training steps of the weights; null if unknown. */
  readonly iteration: number | null;
  /** How the file was found if MODEL.WEIGHT does not name it, and which averaged weights it also holds. */
  readonly note?: string;
  /** Why it may be the wrong file. */
  readonly warning?: string;
  /** What the file says about its model; null if it says nothing. */
  readonly info: ModelInfo | null;
  /** Sentences about tensors of the file that are not used as they are. */
  readonly warnings: readonly string[];
}

/** Where a command finds the weights of a trained model. */
export interface WeightsRequest {
  /** MODEL.WEIGHT: a file or the folder of a run; empty for the last checkpoint in `outputDir`. */
  readonly weight: string;
  /** MODEL.WEIGHT_KEY; empty for no choice. */
  readonly weightKey?: string;
  readonly outputDir?: string;
}

/** The request of a configuration. */
export function requestOf({ MODEL, OUTPUT_DIR }: Pick<Config, 'MODEL' | 'OUTPUT_DIR'>): WeightsRequest {
  return { weight: MODEL.WEIGHT, weightKey: MODEL.WEIGHT_KEY, outputDir: OUTPUT_DIR };
}

/**
 * Finds the weight file of a request, and reads none of its data: a quick check before other work. Throws CheckpointError if
 * there is no file.
 */
export function findModelWeights({ weight, weightKey, outputDir = '.' }: WeightsRequest): LoadPlan {
  const request = { weight, weightKey, resume: false, transfer: false, noHead: false };
  const plan = new Checkpointer(outputDir).plan(request, 'best');
  if (plan !== null) return plan;
  throw new CheckpointError(
    `MODEL.WEIGHT is empty and ${outputDir} has no last_checkpoint: name the weights of a trained model, ` +
      `for example MODEL.WEIGHT ${checkpointsIn(outputDir)[0]?.path ?? 'output/model_final.pth'}`,
  );
}

/** The weight file of a request, whose weights are not read yet. */
export interface OpenWeights extends LoadPlan {
  readonly file: WeightFile;
  /** What the file says about its model; null if it says nothing. */
  readonly info: ModelInfo | null;
}

/** Opens the weight file of a request. Throws CheckpointError if there is no file or it cannot be read. */
export function openModelWeights(request: WeightsRequest): OpenWeights {
  const plan = findModelWeights(request);
  const file = openWeightFile(plan.path);
  return { ...plan, file, info: modelInfoOf(file) };
}

/** A warning if weights were trained with other settings than those of a configuration; null if they were not. */
export function contradiction(path: string, info: ModelInfo | null, config: Config): string | null {
  const differing = info === null ? [] : differingSettings(info.settings, config);
  if (differing.length === 0) return null;
  return `the configuration contradicts ${path}, whose weights were trained with ${differing.join(', ')}`;
}

/**
 * Loads all weights of a model from a file or from the folder of a run, which means its best checkpoint, else its last. If
 * `weight` is empty, the last checkpoint in `outputDir` is loaded. Throws CheckpointError if there is no file, it cannot be
 * read, or its weights do not fit the model exactly.
 */
export function loadModelWeights(
  model: Module,
  weight: string | OpenWeights,
  outputDir = '.',
): WeightsOrigin {
  const open = typeof weight === 'string' ? openModelWeights({ weight, outputDir }) : weight;
  const entries = new Map(model.namedState());
  const source = { ...open, coverage: 'whole model' } as const;
  const { iteration, warnings, averages } = loadCheckpoint(source, entries, (name, data) =>
    entries.get(name)?.set(data),
  );
  const { path, warning, info } = open;
  const notes = [open.note, averages].filter((text) => typeof text === 'string');
  const note = notes.length > 0 ? notes.join('; ') : undefined;
  return { path, iteration, note, warning, info, warnings };
}

/**
 * Writes the weights of a model as a .pth file that `loadModelWeights` and PyTorch read: `{ model: state dict }`. The file of
 * a Detector also says how to build it, so that `stmixer detect` needs no configuration file. Creates the folder. Throws
 * CheckpointError if the disk refuses.
 */
export async function saveModelWeights(model: Module, path: string): Promise<void> {
  const state: PyDict = modelState(model);
  mkdirSync(dirname(path), { recursive: true });
  const content: PyDict = new Map<PyValue, PyValue>([['model', state]]);
  if (model instanceof Detector) content.set(MODEL_INFO, packModelInfo(infoOfModel(model.config)));
  await writePth(path, content);
}
