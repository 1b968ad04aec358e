/** @file Packs the parts of a training checkpoint and takes them from a file, in the form of the official trainer. */
import { CheckpointError } from '../errors.js';
import type { HostTensor } from '../formats/host_tensor.js';
import type { PyValue } from '../formats/python/values.js';
import { openWeightFile, type WeightFile } from '../formats/weight_file.js';
import { type LoadedWeights, loadWeights } from './load_weights.js';
import type { Coverage } from './misfit/fit.js';
import { MODEL_INFO, type ModelInfo, modelInfoOf } from './model_info.js';
import { averagesBeside, findStateDict } from './state_dict.js';
import type { ModelShapes } from './weights.js';

/** A key that the official trainer does not have. That trainer keeps its value unchanged. */
const RUN_KEY = 'stmixer';

/** The content of a checkpoint. */
export interface CheckpointParts {
  /** All parameters under PyTorch's names and in its order, then the buffers. */
  readonly model: ReadonlyMap<string, HostTensor>;
  /** State dicts in PyTorch's form. */
  readonly optimizer: PyValue;
  readonly scheduler: PyValue;
  /** Iterations done so far. */
  readonly iteration: number;
  /** State of the run beyond PyTorch's (run/resume_state.ts). */
  readonly run?: PyValue;
  /** What detection needs to know about the model (model_info.ts). */
  readonly info?: PyValue;
}

/** Packs the parts as one value, with the official trainer's keys in its order. */
export function packParts({ model, optimizer, scheduler, iteration, run, info }: CheckpointParts): PyValue {
  return {
    model: new Map(model),
    optimizer,
    scheduler,
    iteration,
    ...(run && { [RUN_KEY]: run }),
    ...(info && { [MODEL_INFO]: info }),
  };
}

/** The file to load, and how. */
export interface LoadSource {
  readonly path: string;
  /** The file, if it has been opened. */
  readonly file?: WeightFile;
  /** MODEL.WEIGHT_KEY; empty for no choice. */
  readonly weightKey?: string;
  /** Weights only: neither optimizer, schedule nor iteration. */
  readonly transfer: boolean;
  readonly noHead: boolean;
  /** How much of the model the file must hold; by default anything that fits. */
  readonly coverage?: Coverage;
  /** Returns how to add a flag of `stmixer train` to the command, for messages; by default the flag itself. */
  withFlag?(flag: string): string;
  /** How to take only the weights into a new run, for messages; absent if the file is not loaded for training. */
  readonly weightsOnlyWay?: string;
}

/** The parts of a loaded file. */
export interface LoadedCheckpoint extends LoadedWeights {
  /** Null if the file has none, or if only weights were requested. */
  readonly optimizer: PyValue;
  readonly scheduler: PyValue;
  readonly iteration: number | null;
  readonly run: PyValue;
  /** What the file says about its model; null if it says nothing. */
  readonly info: ModelInfo | null;
  /** A sentence about averaged weights that the file also holds; null if there are none. */
  readonly averages: string | null;
}

/**
 * Loads the weights of a file into the model, one tensor at a time through `set`, and returns the other parts as they
 * are. Throws CheckpointError if the file cannot be read or does not fit the model.
 */
export function loadCheckpoint(
  source: LoadSource,
  model: ModelShapes,
  set: (name: string, data: Float32Array) => void,
): LoadedCheckpoint {
  const { path, weightKey = '', transfer, noHead, coverage = 'any', withFlag, weightsOnlyWay } = source;
  const file = source.file ?? openWeightFile(path);
  const { value: content } = file;
  const found = findStateDict(path, content, { key: weightKey, option: 'MODEL.WEIGHT_KEY' });
  const { state, key: weightsKey } = found;
  const part = (key: string): PyValue =>
    !transfer && content instanceof Map && weightsKey === 'model' ? (content.get(key) ?? null) : null;
  const iteration = part('iteration');
  if (iteration !== null && !(Number.isSafeInteger(iteration) && (iteration as number) >= 0)) {
    throw new CheckpointError(`${path}: its iteration is ${String(iteration)}, not a whole number`);
  }
  const [optimizer, scheduler] = [part('optimizer'), part('scheduler')];
  const isForTraining = weightsOnlyWay !== undefined;
  const newClassifiers = isForTraining && (transfer || (optimizer === null && scheduler === null));
  const options = { noHead, coverage, withFlag, weightsOnlyWay, newClassifiers };
  return {
    ...loadWeights({ path, state }, model, options, set),
    optimizer,
    scheduler,
    iteration: iteration as number | null,
    run: part(RUN_KEY),
    info: modelInfoOf(file),
    averages: weightKey === '' ? averagesBeside(content, found) : null,
  };
}
