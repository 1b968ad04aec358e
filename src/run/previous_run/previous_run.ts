/** @file Finds the run that an output folder already holds, and moves it aside for a new one. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { isCheckpointFile, LAST_CHECKPOINT } from '../../checkpoint/checkpoint_names.js';
import { Checkpointer } from '../../checkpoint/checkpointer.js';
import {
  checkpointsIn,
  holdsTrainingState,
  iterationIn,
  lastCheckpointIn,
  newestCheckpoint,
} from '../../checkpoint/run_checkpoints.js';
import { locateWeight, preferenceFor } from '../../checkpoint/weight_path.js';
import { type Config, configFileOf, type LoadedConfig } from '../../config/index.js';
import { ConfigError } from '../../errors.js';
import { isIn } from '../../files/paths.js';
import { isWrittenByRun } from '../config.js';
import { CONFIG, ENVIRONMENT, EVALUATIONS, isOfRun, METRICS, RUN_FILES } from '../run_folder.js';
import { finishMove, moveAside, moveBack, movedRuns } from './move_run.js';

/** Flags that decide what happens to an earlier run. */
export interface FolderRequest {
  readonly resume: boolean;
  readonly transfer: boolean;
  /** Starts a new run and moves the other one aside. */
  readonly overwrite?: boolean;
}

/** An output folder without files of other runs. */
export interface ClearedFolder {
  /** The configuration. MODEL.WEIGHT names a file, also after a move. */
  readonly config: Config;
  /** A sentence about the weight file, if MODEL.WEIGHT does not name it directly. */
  readonly note?: string;
  /** Sentences about runs that were moved, now or earlier, and about weights that may belong to another run. */
  readonly warnings: readonly string[];
  /** Undoes the move for a run that fails before it begins. */
  restore(): void;
}

/**
 * Makes sure that OUTPUT_DIR holds no run but the one that this run continues. Moves the files of another run into a
 * subfolder if `--overwrite` asks for it, or if that run saved nothing. Throws ConfigError otherwise.
 */
export function clearOutputDir({ config, origins }: LoadedConfig, request: FolderRequest): ClearedFolder {
  const { OUTPUT_DIR } = config;
  const finished = finishMove(OUTPUT_DIR, () => namesOfRun(OUTPUT_DIR));
  protectConfigFile(OUTPUT_DIR, origins);
  const { cfg, note, warnings } = withWeightFile(config, request);
  if (finished !== null) warnings.push(movedTo(OUTPUT_DIR, finished));
  const kept = { config: cfg, note, warnings, restore() {} };
  const previous = findPreviousRun(OUTPUT_DIR);
  if (previous === null) {
    if (request.resume && finished === null) warnings.push(...nothingToResume(OUTPUT_DIR));
    return kept;
  }
  if (continuesIn(cfg, request)) return kept;
  if (previous.result !== null && !request.overwrite) throw usedFolder(OUTPUT_DIR, previous.result, request);
  const { WEIGHT } = cfg.MODEL;
  // With --transfer and no MODEL.WEIGHT the weights are those of the run that is moved.
  const weight = WEIGHT === '' && request.transfer ? (lastCheckpointIn(OUTPUT_DIR) ?? '') : WEIGHT;
  const folder = moveAside(OUTPUT_DIR, previous.files);
  warnings.push(movedTo(OUTPUT_DIR, folder));
  return {
    ...kept,
    config: { ...cfg, MODEL: { ...cfg.MODEL, WEIGHT: pathAfterMove(weight, OUTPUT_DIR, folder) } },
    restore: () => moveBack(OUTPUT_DIR, folder),
  };
}

/**
 * The configuration with the weight file for MODEL.WEIGHT, unless the run ignores MODEL.WEIGHT. Throws CheckpointError if there
 * is no such file.
 */
function withWeightFile(
  cfg: Config,
  { resume, transfer }: FolderRequest,
): { cfg: Config; note?: string; warnings: string[] } {
  const { WEIGHT } = cfg.MODEL;
  const isIgnored = resume && new Checkpointer(cfg.OUTPUT_DIR).canResume();
  if (isIgnored || WEIGHT === '') return { cfg, warnings: [] };
  const { path, note, warning } = locateWeight(WEIGHT, preferenceFor(transfer));
  const warnings = warning === undefined ? [] : [warning];
  return { cfg: { ...cfg, MODEL: { ...cfg.MODEL, WEIGHT: path } }, note, warnings };
}

function movedTo(outputDir: string, folder: string): string {
  return `the run that was in ${outputDir} is in ${folder} now`;
}

/** A sentence for a run that finds nothing to resume, because another one was moved aside. */
function nothingToResume(outputDir: string): string[] {
  const moved = movedRuns(outputDir);
  if (moved.length === 0) return [];
  return [`nothing in ${outputDir} can be resumed; earlier runs are in its subfolders ${moved.join(', ')}`];
}

/** Throws ConfigError if a folder has the name of a file that a run writes. The run would notice it hours later. */
export function refuseObstacles(outputDir: string): void {
  for (const name of RUN_FILES) {
    const path = join(outputDir, name);
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) continue;
    throw new ConfigError(
      `OUTPUT_DIR: ${path} is a folder, and the run writes a file of this name; move it away, or choose another OUTPUT_DIR`,
    );
  }
}

/** Whether a run continues from a checkpoint of the run in its folder, so that both are one run. */
function continuesIn({ OUTPUT_DIR, MODEL }: Config, { resume, transfer, overwrite }: FolderRequest): boolean {
  if (overwrite) return false;
  if (resume && new Checkpointer(OUTPUT_DIR).canResume()) return true;
  if (MODEL.WEIGHT === '' && !transfer && existsSync(join(OUTPUT_DIR, LAST_CHECKPOINT))) return true;
  const isOwn = MODEL.WEIGHT !== '' && isIn(MODEL.WEIGHT, OUTPUT_DIR) && existsSync(MODEL.WEIGHT);
  return isOwn && !transfer && (iterationIn(MODEL.WEIGHT) ?? 0) > 0;
}

/** Refuses to replace a config.yaml that a user wrote by hand. */
function protectConfigFile(outputDir: string, origins: LoadedConfig['origins']): void {
  const target = join(outputDir, CONFIG);
  if (!existsSync(target)) return;
  const file = configFileOf(origins) ?? '';
  // A file of a newer version may not be readable here, but its run has left other files.
  const isOfRun = resolve(file) !== resolve(target) && existsSync(join(outputDir, ENVIRONMENT));
  if (isOfRun || isWrittenByRun(target)) return;
  throw new ConfigError(
    `OUTPUT_DIR: ${outputDir}: the run would replace ${target} by its own ${CONFIG}, with every setting in it; choose ` +
      'another OUTPUT_DIR, or give that file another name',
  );
}

/** Contents of an output folder before a run writes there. */
export interface PreviousRun {
  /** The names of its files and folders. */
  readonly files: readonly string[];
  /** The first result: a checkpoint or evaluations. Null if there is none. */
  readonly result: string | null;
}

/** The run that a folder holds; null if no iteration was logged and there is no result. */
export function findPreviousRun(outputDir: string): PreviousRun | null {
  const files = existsSync(outputDir) ? namesOfRun(outputDir) : [];
  const isResult = (name: string) =>
    isCheckpointFile(name) || name === EVALUATIONS || name === LAST_CHECKPOINT;
  const result = files.find(isResult) ?? null;
  const metrics = statSync(join(outputDir, METRICS), { throwIfNoEntry: false });
  const hasMetrics = metrics?.isFile() === true && metrics.size > 0;
  return result !== null || hasMetrics ? { files, result } : null;
}

/** The files of a run in a folder, and the file that its `last_checkpoint` names, under any name. */
function namesOfRun(outputDir: string): string[] {
  const last = lastCheckpointIn(outputDir);
  const named = last !== null && isIn(last, outputDir) ? basename(last) : null;
  return readdirSync(outputDir).filter((name) => isOfRun(name) || name === named);
}

function usedFolder(outputDir: string, result: string, { resume }: FolderRequest): ConfigError {
  return new ConfigError(
    `OUTPUT_DIR: ${outputDir} holds another run (${result}). ${wayToContinue(outputDir)}To train a new one, choose another ` +
      `OUTPUT_DIR, or ${resume ? 'replace --resume by' : 'add'} --overwrite, which moves the files of the other run into a subfolder`,
  );
}

/** A sentence on how to continue the run of a folder; empty if it cannot be continued. */
function wayToContinue(outputDir: string): string {
  const last = lastCheckpointIn(outputDir) ?? newestCheckpoint(outputDir);
  if (last !== null && holdsTrainingState(last)) return 'To continue that run, use --resume. ';
  const found = checkpointsIn(outputDir).find(({ path }) => holdsTrainingState(path));
  if (!found) return '';
  const pointer = join(outputDir, LAST_CHECKPOINT);
  return `To continue that run, write the path of its checkpoint into ${pointer} and use --resume. `;
}

/** The new path of a file whose run was moved. Other paths stay. */
function pathAfterMove(path: string, outputDir: string, folder: string): string {
  const moved = join(folder, basename(path));
  return isIn(path, outputDir) && existsSync(moved) ? moved : path;
}
