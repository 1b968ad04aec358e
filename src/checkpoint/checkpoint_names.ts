/** @file The names of a run's checkpoints, which are the official trainer's. */

/** An iteration as it stands in names of files: seven digits, or more if it has more. */
export function iterationDigits(iteration: number): string {
  return String(iteration).padStart(7, '0');
}

/** The name, without folder and extension, of the checkpoint after an iteration. */
export function checkpointName(iteration: number): string {
  return `model_${iterationDigits(iteration)}`;
}

/** The checkpoint at the end of a run. */
export const FINAL_CHECKPOINT = 'model_final';

/** The checkpoint with the best evaluation. */
export const BEST_CHECKPOINT = 'model_best';

/** The checkpoint that is saved by time. Each one replaces the one before. */
export const LATEST_CHECKPOINT = 'model_latest';

/** The text file that names the checkpoint to continue from. */
export const LAST_CHECKPOINT = 'last_checkpoint';

/** The beginning of the names of subfolders with runs that were moved aside. */
export const MOVED_RUN = 'previous_run_';

const NUMBERED = /^model_(\d{7,})\.pth$/;
const NAMED = [FINAL_CHECKPOINT, BEST_CHECKPOINT, LATEST_CHECKPOINT].map((name) => `${name}.pth`);
const LEFTOVER = new RegExp(`^(model_\\w+\\.pth|${LAST_CHECKPOINT})\\.tmp-\\d+-\\d+$`);

/** Whether a run writes checkpoints under this file name. */
export function isCheckpointFile(name: string): boolean {
  return NUMBERED.test(name) || NAMED.includes(name);
}

/** The iteration in the name of a numbered checkpoint; null for other names. */
export function numberIn(name: string): number | null {
  const number = NUMBERED.exec(name)?.[1];
  return number === undefined ? null : Number(number);
}

/** Whether a file is the temporary file of a save that was killed. */
export function isLeftover(name: string): boolean {
  return LEFTOVER.test(name);
}
