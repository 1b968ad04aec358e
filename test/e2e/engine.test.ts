/** @file `stmixer engine check` of an engine that is missing, and Ctrl-C. The package's test runs the whole check. */
import { expect, it } from 'vitest';
import { start, stmixerHere } from '../support/cli.js';
import { temporaryFolder } from '../support/temporary_files.js';

it('engine check with an engine that is missing says the same as train', async () => {
  const wrong = ['--engine', 'cpu', '--device', 'cuda'];
  const check = await stmixerHere(['engine', 'check', ...wrong]);
  const train = await stmixerHere([
    ...[
      'train',
      '--config-file',
      'config_files/tiny.yaml',
      'OUTPUT_DIR',
      temporaryFolder(),
      '--quiet',
      ...wrong,
    ],
  ]);
  expect(check.code).toBe(1);
  expect(check.stderr).toMatch(/^stmixer: --engine cpu does not run on cuda/);
  expect(train).toMatchObject({ code: check.code, stderr: check.stderr });
});

it('Ctrl-C ends engine check at once', async () => {
  const { child, finished } = start(['engine', 'check', '--engine', 'cpu']);
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  child.kill('SIGINT');
  const { stdout } = await finished;
  expect(child.signalCode).toBe('SIGINT');
  expect(stdout).not.toContain('training steps');
});
