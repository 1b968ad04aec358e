/** @file The completion scripts, as the shells run them. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { stmixerHere } from '../../../test/support/cli.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';

const SHELLS = ['bash', 'zsh', 'fish'];
const CHECKS: Record<string, string> = { bash: '-n', zsh: '-n', fish: '--no-execute' };
let folder: string;
const scripts = new Map<string, string>();

beforeAll(async () => {
  folder = temporaryFolderOfFile();
  for (const shell of SHELLS) {
    const { stdout, code, stderr } = await stmixerHere(['completion', shell]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    scripts.set(shell, stdout);
    writeFileSync(join(folder, shell), stdout);
  }
});

/** What bash offers for the last word. */
function offered(...words: string[]): string[] {
  const ask =
    'source "$0"; cd "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stmixer; ' +
    `printf '%s\\n' "\${COMPREPLY[@]}"`;
  const run = spawnSync('bash', ['-c', ask, join(folder, 'bash'), folder, 'stmixer', ...words], {
    encoding: 'utf8',
  });
  expect(run.stderr).toBe('');
  return run.stdout.split('\n').filter(Boolean);
}

it.each([
  [[''], expect.arrayContaining(['train', 'test', 'doctor', 'completion'])],
  [['tr'], ['train']],
  [['data', 'p'], ['prepare']],
  [['train', '--no-h'], ['--no-head']],
  [['data', 'prepare', '--short'], ['--short-side']],
  [
    ['train', '--engine', ''],
    ['auto', 'cuda', 'onnx', 'tensorflow', 'cpu'],
  ],
  [['train', '--engine', '=', 'on'], ['onnx']],
  [['completion', ''], SHELLS],
  [['train', '--config-file', 'fi'], ['fish']],
  [['train', '--config-file', 'x.yaml', 'SOLVER.BASE'], ['SOLVER.BASE_LR']],
  [['train', '--config-file', 'x.yaml', 'MODEL.WEIGHT', 'ba'], ['bash']],
  [['inspect', 'checkpoint', 'zs'], ['zsh']],
  [['train', '--seed', ''], []],
])('bash completes %j', (words, expected) => {
  expect(offered(...words)).toEqual(expected);
});

it('bash completes paths with spaces as one word', () => {
  writeFileSync(join(folder, 'my weights.pth'), '');
  expect(offered('inspect', 'checkpoint', 'my')).toEqual(['my weights.pth']);
});

it.each(SHELLS)('the script of %s holds every command, flag, choice and setting', (shell) => {
  for (const part of ['prepare', 'lr-schedule', 'min-map', 'bfloat16', 'tensorflow', 'SOLVER.LOG_PERIOD'])
    expect(scripts.get(shell)).toContain(part);
});

it('the scripts have no error of syntax, in the shells that are installed', () => {
  const checked = SHELLS.flatMap((shell) => {
    const { error, status, stderr } = spawnSync(shell, [CHECKS[shell], join(folder, shell)], {
      encoding: 'utf8',
    });
    return error ? [] : [{ shell, status, stderr }];
  });
  expect(checked.length).toBeGreaterThan(0);
  expect(checked).toEqual(checked.map(({ shell }) => ({ shell, status: 0, stderr: '' })));
});

it('an unknown shell is refused, and the known ones are named', async () => {
  const { code, stderr } = await stmixerHere(['completion', 'tcsh']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/bash, zsh, fish/);
});
