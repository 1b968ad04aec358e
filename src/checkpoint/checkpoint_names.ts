/** @file The names of a run's checkpoints, which are the official trainer's. */

/** Formats an iteration for names of files, with at least seven digits. */
export function iterationDigits(iteration: number): string {
  return String(iteration).padStart(7, '0');
}

/** Returns the name of the checkpoint after an iteration, without folder and extension. */
export function checkpointName(iteration: number): string {
  return `model_${iterationDigits(iteration)}`;
}

/** The checkpoint at the end of a run. */
export const FINAL_CHECKPOINT = 'model_final';

/** The checkpoint with the best evaluation. */
export const BEST_CHECKPOINT = 'model_best';

/** The checkpoint that is saved at intervals of time. Each one replaces the previous one. */
export const LATEST_CHECKPOINT = 'model_latest';

/** The text file that names the checkpoint to continue from. */
export const LAST_CHECKPOINT = 'last_checkpoint';

/** Prefix of the names of subfolders with runs that were moved aside. */
export const MOVED_RUN = 'previous_run_';

const NUMBERED = /^model_(\d{7,})\.pth$/;
const NAMED = [FINAL_CHECKPOINT, BEST_CHECKPOINT, LATEST_CHECKPOINT].map((name) => `${name}.pth`);
const LEFTOVER = new RegExp(`^(model_\\w+\\.pth|${LAST_CHECKPOINT})\\.tmp-\\d+-\\d+$`);

/** Whether a run writes checkpoints under this file name. */
export function isCheckpointFile(name: string): boolean {
  return NUMBERED.test(name) || NAMED.includes(name);
}

/** Returns the iteration in the name of a numbered checkpoint; null for other names. */
export function numberIn(name: string): number | null {
  const number = NUMBERED.exec(name)?.[1];
  return number === undefined ? null : Number(number);
}

/** Whether a file is the temporary file of a save that was killed. */
export function isLeftover(name: string): boolean {
  return LEFTOVER.test(name);
}
