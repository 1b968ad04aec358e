/** @file What is printed at the end of a training: its best checkpoint, and the commands to continue with. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { FINAL_CHECKPOINT } from '../checkpoint/checkpoint_names.js';
import { detectLaunch, type Launch } from '../distributed/launch.js';
import { CONFIG } from '../run/run_folder.js';
import type { TrainingResult } from '../training/trainer.js';
import { roughDuration, shellWord } from '../util/text.js';

/** Flags that a command which resumes leaves out: it starts nothing over, and it has a `--resume` already. */
const LEFT_OUT = ['--overwrite', '--resume', '--local_rank'];

/** Returns the words of a shell command as one text that can be pasted. */
function pasteable(...words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}

/** How to continue the training that `command` has started, with as many processes. */
export function howToResume(command: Command, launch: Launch | null = detectLaunch(process.env)): string {
  const flags = command.options.filter(
    (option) =>
      command.getOptionValueSource(option.attributeName()) === 'cli' && !LEFT_OUT.includes(option.long ?? ''),
  );
  const words = flags.flatMap((option) => {
    const value = command.getOptionValue(option.attributeName());
    return typeof value === 'boolean' ? [option.long!] : [option.long!, String(value)];
  });
  const resume = pasteable('stmixer', command.name(), ...words, '--resume', ...command.args);
  if (!launch) return `To continue:\n  ${resume}`;
  // Its other options, such as the names of machines, are not known here.
  const { launcher, size } = launch;
  const start = { mpirun: `mpirun -np ${size}`, srun: `srun -n ${size}` }[launcher];
  return `To continue, with the other options of ${launcher} as before:\n  ${start} ${resume}`;
}

/** The end of a training for people. `resume` says how to continue it. Empty if nothing is saved. */
export function endOfTraining(result: TrainingResult, outputDir: string, resume: string): string {
  const { isStopped, iteration, best, seconds } = result;
  if (isStopped) return iteration === 0 ? '' : `\n${resume}\n`;
  const weights = best?.path ?? join(outputDir, `${FINAL_CHECKPOINT}.pth`);
  const score =
    best && best.mAP !== null ? `mAP ${best.mAP.toFixed(4)} after iteration ${best.iteration}` : '';
  const config = ['--config-file', join(outputDir, CONFIG)];
  return [
    '',
    score === '' ? `Checkpoint:       ${weights} (not evaluated)` : `Best checkpoint:  ${weights} (${score})`,
    `Total time:       ${roughDuration(seconds)}`,
    'Next:',
    `  ${pasteable('stmixer', 'test', ...config, 'MODEL.WEIGHT', weights)}`,
    `  ${pasteable('stmixer', 'detect', '--weights', weights, '--input', 'video.mp4', '--out', 'detections')}`,
    `  ${pasteable('stmixer', 'report', outputDir)}`,
    '',
  ].join('\n');
}
