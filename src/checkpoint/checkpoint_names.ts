/** @file The names of a run's checkpoints, which are the official trainer's. */

/** The name, without folder and ending, of the checkpoint after an iteration. */
export function checkpointName(iteration: number): string {
  return `model_${String(iteration).padStart(7, '0')}`;
}

/** The name of the checkpoint at the end of a run. */
export const FINAL_CHECKPOINT = 'model_final';

/** The name of the checkpoint with the best evaluation. */
export const BEST_CHECKPOINT = 'model_best';

/** The name of the checkpoint that is saved by time; each one takes the place of the one before. */
export const LATEST_CHECKPOINT = 'model_latest';

const NUMBERED = /^model_(\d{7,})\.pth$/;
const NAMED = [FINAL_CHECKPOINT, BEST_CHECKPOINT, LATEST_CHECKPOINT].map((name) => `${name}.pth`);
const LEFTOVER = /^(model_\w+\.pth|last_checkpoint)\.tmp-\d+-\d+$/;

/** Whether a run would have written a checkpoint under this file name. */
export function isCheckpointFile(name: string): boolean {
  return NUMBERED.test(name) || NAMED.includes(name);
}

/** The iteration in the name of a numbered checkpoint; null for other names. */
export function numberIn(name: string): number | null {
  const number = NUMBERED.exec(name)?.[1];
  return number === undefined ? null : Number(number);
}

/** Whether a file is what a killed save has left. */
export function isLeftover(name: string): boolean {
  return LEFTOVER.test(name);
}
