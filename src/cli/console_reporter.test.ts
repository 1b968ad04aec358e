/** @file What a quiet command prints. */
import { expect, it, vi } from 'vitest';
import { stmixerHere } from '../../test/support/cli.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { ConsoleReporter } from './console_reporter.js';

/** Everything that a reporter prints. */
function printed(quiet: boolean): string {
  let text = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((part) => {
    text += part;
    return true;
  });
  try {
    const report = new ConsoleReporter({ quiet });
    report.info('a note');
    report.progress(1, 2, 'frames');
    report.warn('careful');
    report.result('done');
    report.close();
  } finally {
    spy.mockRestore();
  }
  return text;
}

it('a quiet command prints only warnings and the final result', () => {
  expect(printed(true)).toBe('warning: careful\ndone\n');
  expect(printed(false)).toContain('a note\n');
});

it.each([
  ['detect', ['--config-file', 'config_files/tiny.yaml', '--input', 'x', '--out', 'y']],
  ['data prepare', ['--videos', 'x', '--out', 'y']],
  ['evaluate', ['--ground-truth', 'x', '--predictions', 'y', '--label-map', 'z']],
  ['test', ['--config-file', 'config_files/tiny.yaml']],
  ['train', ['--config-file', 'config_files/tiny.yaml']],
])('%s refuses --quiet together with --verbose', async (command, words) => {
  const { code, stderr } = await stmixerHere([...command.split(' '), ...words, '--quiet', '--verbose']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/'--quiet' cannot be used with option '--verbose'/);
});

it('a quiet evaluation of files that are missing still says what is wrong', async () => {
  const folder = temporaryFolder();
  const words = [
    '--ground-truth',
    `${folder}/x`,
    '--predictions',
    `${folder}/y`,
    '--label-map',
    `${folder}/z`,
  ];
  const { code, stderr } = await stmixerHere(['evaluate', ...words, '--quiet']);
  expect(code).toBe(3);
  expect(stderr).toContain(folder);
});
