/** @file The weights for a run's own config.yaml: the best or the last of that run. */
import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isCheckpointFile, LAST_CHECKPOINT } from '../checkpoint/checkpoint_names.js';
import { runCheckpoint } from '../checkpoint/weight_path.js';
import { type Config, configFileOf, type LoadedConfig } from '../config/index.js';
import { CONFIG, LOG } from './run_folder.js';

/** A configuration for evaluation or detection, and sentences about its weights, if any are needed. */
export interface ConfigToUse {
  readonly config: Config;
  readonly note: string | null;
  /** Why the weights may belong to another run. */
  readonly warning?: string;
}

/**
 * Replaces MODEL.WEIGHT in a run's own config.yaml, which names the weights that the run started from, by its best checkpoint,
 * or else its last one. OUTPUT_DIR becomes the folder of the file, which may have been moved. Settings of the command line
 * stay unchanged.
 */
export function weightsOfOwnRun({ config, origins }: LoadedConfig): ConfigToUse {
  const folder = runFolder(origins);
  if (folder === null) return { config, note: null };
  const isGiven = (key: string) => origins.get(key)?.source === 'override';
  const OUTPUT_DIR = isGiven('OUTPUT_DIR') ? config.OUTPUT_DIR : folder;
  // A run's own checkpoints hold one set of weights; the key in config.yaml is of the file that the run started from.
  const WEIGHT_KEY = isGiven('MODEL.WEIGHT_KEY') ? config.MODEL.WEIGHT_KEY : '';
  if (isGiven('MODEL.WEIGHT'))
    return { config: { ...config, OUTPUT_DIR, MODEL: { ...config.MODEL, WEIGHT_KEY } }, note: null };
  const found = runCheckpoint(folder, 'best');
  if (found === null) {
    const note = `the run in ${folder} has no checkpoint yet: MODEL.WEIGHT is what it started from`;
    return { config: { ...config, OUTPUT_DIR }, note };
  }
  const { path, which, warning } = found;
  return {
    config: { ...config, OUTPUT_DIR, MODEL: { ...config.MODEL, WEIGHT: path, WEIGHT_KEY } },
    note: `${path} holds the ${which} weights of the run in ${folder}`,
    warning,
  };
}

/** The folder of the run whose config.yaml was loaded; null if another file was loaded. */
function runFolder(origins: LoadedConfig['origins']): string | null {
  const given = configFileOf(origins);
  if (given === undefined) return null;
  const file = lstatSync(given).isSymbolicLink() ? realpathSync(given) : given;
  if (basename(file) !== CONFIG) return null;
  const folder = dirname(file);
  const isTrace = (name: string) => name === LOG || name === LAST_CHECKPOINT || isCheckpointFile(name);
  return readdirSync(folder).some(isTrace) ? folder : null;
}
