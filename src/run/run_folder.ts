/** @file The names of all files and folders in OUTPUT_DIR, but those of checkpoints: see checkpoint/checkpoint_names.ts. */
import { join } from 'node:path';
import { isCheckpointFile, iterationDigits, LAST_CHECKPOINT } from '../checkpoint/checkpoint_names.js';
import type { LockKind } from '../files/folder_lock.js';

/** The configuration of the run, with every setting. */
export const CONFIG = 'config.yaml';
/** The machine, the versions and the command line. */
export const ENVIRONMENT = 'environment.json';
/** The log, one JSON object per line. */
export const LOG = 'log.jsonl';
/** The log of a process that helps process 0. */
export function logOfProcess(rank: number): string {
  return `log.rank${rank}.jsonl`;
}
/** Losses, times and memory, one line for each iteration. */
export const METRICS = 'metrics.jsonl';
/** Results of evaluations, one line each. */
export const EVALUATIONS = 'evaluations.jsonl';
/** Event files of TensorBoard. */
export const TENSORBOARD_FOLDER = 'tensorboard';
/** The report: an HTML page and its curves. */
export const REPORT_FOLDER = 'report';
/** The files of the evaluations, a folder each. */
export const EVALUATION_FOLDER = 'evaluation';

/** The locks that keep a second run, or a second test, out of the folder. */
export const RUN_LOCK: LockKind = { file: 'run.lock', holder: 'run', setting: 'OUTPUT_DIR' };
export const TEST_LOCK: LockKind = { file: 'test.lock', holder: '`stmixer test`', setting: 'OUTPUT_DIR' };
/** Notes that the files of a run are being moved, while they are. */
export const MOVE_JOURNAL = '.stmixer-moving.json';

/** Files that a run writes under a fixed name. */
export const RUN_FILES: readonly string[] = [LAST_CHECKPOINT, EVALUATIONS, CONFIG, ENVIRONMENT, LOG, METRICS];
const RUN_FOLDERS: readonly string[] = [EVALUATION_FOLDER, REPORT_FOLDER, TENSORBOARD_FOLDER];
const SAVED_BATCH = /^nonfinite_\d+\.pth$/;
const LOG_OF_PROCESS = /^log\.rank\d+\.jsonl$/;

/** The folder of an evaluation: after a number of iterations, or under a name. */
export function evaluationFolder(outputDir: string, which: number | string): string {
  const name = typeof which === 'number' ? `iteration_${iterationDigits(which)}` : which;
  return join(outputDir, EVALUATION_FOLDER, name);
}

/** The file of a batch whose step gave values that are not finite. */
export function savedBatchName(iteration: number): string {
  return `nonfinite_${iterationDigits(iteration)}.pth`;
}

export function isSavedBatch(name: string): boolean {
  return SAVED_BATCH.test(name);
}

/** Whether a file or folder in OUTPUT_DIR belongs to a run. Locks do not: they belong to a process. */
export function isOfRun(name: string): boolean {
  return (
    RUN_FILES.includes(name) ||
    RUN_FOLDERS.includes(name) ||
    isCheckpointFile(name) ||
    isSavedBatch(name) ||
    LOG_OF_PROCESS.test(name)
  );
}
