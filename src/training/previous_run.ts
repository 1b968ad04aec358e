/** @file The run that an output folder holds already: found, and moved aside for a run that starts afresh. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { Checkpointer, isCheckpointFile, iterationIn, LAST_CHECKPOINT } from '../checkpoint/checkpointer.js';
import { type Config, dumpConfig, type LoadedConfig, loadConfig } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { EVALUATIONS } from '../evaluation/history.js';
import { CONFIG, ENVIRONMENT, LOG, METRICS } from '../report/run_files.js';
import { ioReason } from '../util/output_paths.js';

/** Everything but checkpoints that a run leaves in its OUTPUT_DIR. */
const FILES = new Set([
  LAST_CHECKPOINT,
  EVALUATIONS,
  CONFIG,
  ENVIRONMENT,
  'evaluation',
  LOG,
  METRICS,
  'report',
  'tensorboard',
]);
const SAVED_BATCH = /^nonfinite_\d+\.pth$/;
const MOVED = 'previous_run_';

/** Flags that decide about a run that is there already. */
export interface FolderRequest {
  readonly resume: boolean;
  readonly transfer: boolean;
  /** Start afresh, and move the other run aside. */
  readonly overwrite?: boolean;
}

/** An output folder without files of other runs. */
export interface ClearedFolder {
  /** The configuration; MODEL.WEIGHT has followed its file. */
  readonly config: Config;
  /** A sentence about a run that was moved, now or before; null if there is nothing to say. */
  readonly note: string | null;
  /** Undoes the move, for a run that fails before it has begun. */
  restore(): void;
}

/**
 * Makes sure that OUTPUT_DIR holds no run but the one that this run continues. The files of another run are moved into a
 * subfolder if `--overwrite` asks for it, or if that run saved nothing. Otherwise this throws ConfigError.
 */
export function clearOutputDir(
  { config: cfg, origins }: LoadedConfig,
  request: FolderRequest,
): ClearedFolder {
  const { OUTPUT_DIR, MODEL } = cfg;
  protectConfigFile(OUTPUT_DIR, origins);
  const previous = findPreviousRun(OUTPUT_DIR);
  const kept = { config: cfg, note: null, restore() {} };
  if (previous === null) return request.resume ? { ...kept, note: movedRun(OUTPUT_DIR) } : kept;
  if (continuesIn(cfg, request)) return kept;
  if (previous.result !== null && !request.overwrite) throw usedFolder(OUTPUT_DIR, previous.result, request);
  // With --transfer and no MODEL.WEIGHT the weights are those of the run that is moved.
  const last = request.transfer ? new Checkpointer(OUTPUT_DIR).findLast() : null;
  const weight = MODEL.WEIGHT === '' ? (last ?? '') : MODEL.WEIGHT;
  const folder = moveAside(OUTPUT_DIR, previous);
  return {
    config: { ...cfg, MODEL: { ...MODEL, WEIGHT: pathAfterMove(weight, OUTPUT_DIR, folder) } },
    note: `the run that was in ${OUTPUT_DIR} is in ${folder} now`,
    restore: () => moveBack(OUTPUT_DIR, folder, previous.files),
  };
}

/** A sentence for a run that finds nothing to resume where another one was moved aside; null otherwise. */
function movedRun(outputDir: string): string | null {
  const moved = readdirSync(outputDir)
    .filter((name) => name.startsWith(MOVED))
    .sort();
  if (moved.length === 0) return null;
  return `nothing in ${outputDir} can be resumed; earlier runs are in its subfolders ${moved.join(', ')}`;
}

/** Whether a run goes on from a checkpoint of the run in its folder, so that both are one. */
function continuesIn({ OUTPUT_DIR, MODEL }: Config, { resume, transfer, overwrite }: FolderRequest): boolean {
  if (overwrite) return false;
  if (resume && new Checkpointer(OUTPUT_DIR).canResume()) return true;
  if (MODEL.WEIGHT === '' && !transfer && existsSync(join(OUTPUT_DIR, LAST_CHECKPOINT))) return true;
  const isOwn = MODEL.WEIGHT !== '' && isIn(MODEL.WEIGHT, OUTPUT_DIR) && existsSync(MODEL.WEIGHT);
  return isOwn && !transfer && (iterationIn(MODEL.WEIGHT) ?? 0) > 0;
}

/** A run writes its settings as config.yaml; a file of that name that somebody wrote by hand must not be lost. */
function protectConfigFile(outputDir: string, origins: LoadedConfig['origins']): void {
  const target = join(outputDir, CONFIG);
  if (!existsSync(target)) return;
  const file = [...origins.values()].find(({ source }) => source === 'file')?.file ?? '';
  // One that a newer version wrote may not be readable here; its run has left other files.
  const isOfRun = resolve(file) !== resolve(target) && existsSync(join(outputDir, ENVIRONMENT));
  if (isOfRun || isDump(target)) return;
  throw new ConfigError(
    `OUTPUT_DIR: ${outputDir}: the run would replace ${target} by its own config.yaml, with every setting in it; choose ` +
      'another OUTPUT_DIR, or give that file another name',
  );
}

/** Whether a configuration file is one that a run wrote: older versions wrote fewer lines, but no others. */
function isDump(file: string): boolean {
  try {
    const written = new Set(dumpConfig(loadConfig(file).config).split('\n'));
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.every((line) => written.has(line));
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Contents of an output folder before a run writes there. */
export interface PreviousRun {
  /** The names of its files and folders. */
  readonly files: readonly string[];
  /** The first file that is worth keeping: a checkpoint or evaluations. Null if there is none. */
  readonly result: string | null;
}

/** The run that a folder holds; null if no iteration of one was logged and nothing of it was kept. */
export function findPreviousRun(outputDir: string): PreviousRun | null {
  const files = existsSync(outputDir) ? readdirSync(outputDir).filter(isOfRun) : [];
  const result = files.find((name) => isCheckpointFile(name) || name === EVALUATIONS) ?? null;
  const metrics = statSync(join(outputDir, METRICS), { throwIfNoEntry: false });
  const hasMetrics = metrics?.isFile() === true && metrics.size > 0;
  return result !== null || hasMetrics ? { files, result } : null;
}

function usedFolder(outputDir: string, result: string, { resume }: FolderRequest): ConfigError {
  const pointer = join(outputDir, LAST_CHECKPOINT);
  const next = new Checkpointer(outputDir).canResume()
    ? 'To continue that run, use --resume'
    : `To continue that run, write the path of its checkpoint into ${pointer} and use --resume`;
  return new ConfigError(
    `OUTPUT_DIR: ${outputDir} holds another run (${result}). ${next}. To train a new one, choose another OUTPUT_DIR, or ` +
      `${resume ? 'replace --resume by' : 'add'} --overwrite, which moves the files of the other run into a subfolder`,
  );
}

/** Moves a run's files into a new subfolder of its folder, where they are a whole run again; returns the subfolder. */
function moveAside(outputDir: string, { files }: PreviousRun): string {
  const folder = unusedFolder(outputDir);
  const moved: string[] = [];
  try {
    mkdirSync(folder);
    for (const name of files) {
      renameSync(join(outputDir, name), join(folder, name));
      moved.push(name);
    }
    return folder;
  } catch (error) {
    moveBack(outputDir, folder, moved);
    const name = files[moved.length];
    throw new ConfigError(
      `OUTPUT_DIR: ${outputDir}: the run there cannot be moved into a subfolder: ${name}: ${ioReason(error)}`,
      { cause: error },
    );
  }
}

/** Puts a run that was moved aside into its place again, instead of what a new one has written. */
function moveBack(outputDir: string, folder: string, names: readonly string[]): void {
  for (const name of names) {
    rmSync(join(outputDir, name), { recursive: true, force: true });
    renameSync(join(folder, name), join(outputDir, name));
  }
  if (existsSync(folder)) rmdirSync(folder);
}

/** Where a file of a run that was moved lies now; other paths stay. */
function pathAfterMove(path: string, outputDir: string, folder: string): string {
  const moved = join(folder, basename(path));
  return isIn(path, outputDir) && existsSync(moved) ? moved : path;
}

/** Whether a file lies directly in a folder. */
export function isIn(path: string, folder: string): boolean {
  return realFolder(dirname(path)) === realFolder(folder);
}

function realFolder(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

function isOfRun(name: string): boolean {
  return FILES.has(name) || isCheckpointFile(name) || SAVED_BATCH.test(name);
}

function unusedFolder(outputDir: string): string {
  for (let n = 1; ; n++) {
    const folder = join(outputDir, `${MOVED}${n}`);
    if (!lstatSync(folder, { throwIfNoEntry: false })) return folder;
  }
}
