/** @file What is printed at the end of a training. */
import { expect, it } from 'vitest';
import { allCommands } from './commands.js';
import { endOfTraining, howToResume } from './next_commands.js';

const RESULT = { iteration: 75, isStopped: false, firstLoss: 2, lastLoss: 1, seconds: 7500, best: null };
const BEST = { path: 'my runs/a/model_best.pth', mAP: 0.25, iteration: 60 };

function train(...words: string[]) {
  const command = allCommands().find((candidate) => candidate.name() === 'train')!;
  command.action(() => {}).parse(words, { from: 'user' });
  return command;
}

it('the end of a training names the best checkpoint, its mAP, the time and commands that a shell understands', () => {
  const text = endOfTraining({ ...RESULT, best: BEST }, 'my runs/a', '');
  expect(text).toContain('Best checkpoint:  my runs/a/model_best.pth (mAP 0.2500 after iteration 60)\n');
  expect(text).toContain('Total time:       2 h 5 min\n');
  expect(text).toContain(
    "\n  stmixer test --config-file 'my runs/a/config.yaml' MODEL.WEIGHT 'my runs/a/model_best.pth'\n",
  );
  expect(text).toMatch(/\n {2}stmixer detect --weights 'my runs\/a\/model_best\.pth' --input video\.mp4 /);
  expect(text).toMatch(/\n {2}stmixer report 'my runs\/a'\n$/);
});

it('the commands at the end of a training can be parsed', () => {
  const lines = endOfTraining({ ...RESULT, best: { ...BEST, path: 'a/model_best.pth' } }, 'a', '').match(
    /stmixer .*/g,
  )!;
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    const [, name, ...words] = line.split(' ');
    const command = allCommands().find((candidate) => candidate.name() === name)!;
    command.exitOverride().action(() => {});
    expect(() => command.parse(words, { from: 'user' })).not.toThrow();
  }
});

it('the end of a training without evaluation names the last checkpoint', () => {
  expect(endOfTraining(RESULT, 'a', '')).toContain('Checkpoint:       a/model_final.pth (not evaluated)');
});

it('a training that was stopped ends with how to resume it, if anything is saved', () => {
  const stopped = { ...RESULT, isStopped: true };
  expect(endOfTraining(stopped, 'a', 'To continue:\n  stmixer x')).toBe('\nTo continue:\n  stmixer x\n');
  expect(endOfTraining({ ...stopped, iteration: 0 }, 'a', 'To continue:\n  stmixer x')).toBe('');
});

it('the command that resumes has the flags and settings of the start, quoted, without --overwrite', () => {
  const words = [
    '--config-file',
    'my file.yaml',
    '--overwrite',
    '--seed',
    '3',
    '--no-head',
    '--local_rank',
    '0',
  ];
  const command = train(...words, 'OUTPUT_DIR', "it's", 'SOLVER.STEPS', '(5, 8)');
  expect(howToResume(command, null)).toBe(
    'To continue:\n' +
      "  stmixer train --config-file 'my file.yaml' --no-head --seed 3 --resume OUTPUT_DIR 'it'\\''s' SOLVER.STEPS '(5, 8)'",
  );
  expect(howToResume(train('--config-file', 'a.yaml', '--resume'), null)).toBe(
    'To continue:\n  stmixer train --config-file a.yaml --resume',
  );
});

it.each([
  ['mpirun', 'mpirun -np 4'],
  ['srun', 'srun -n 4'],
] as const)('the command that resumes starts as many processes with %s', (launcher, start) => {
  const launch = { launcher, family: null, rank: 0, size: 4 };
  expect(howToResume(train('--config-file', 'a.yaml'), launch)).toBe(
    `To continue, with the other options of ${launcher} as before:\n  ${start} stmixer train --config-file a.yaml --resume`,
  );
});
