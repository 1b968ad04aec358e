/** @file The launcher, on a Node that is too old and on this one. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Runs bin/stmixer.js after pretending that this is another release of Node. */
function launchOn(version: string) {
  const pretend = `
    Object.defineProperty(process, 'version', { value: 'v${version}' });
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`;
  const first = `data:text/javascript,${encodeURIComponent(pretend)}`;
  return spawnSync(process.execPath, ['--import', first, 'bin/stmixer.js', 'train'], { encoding: 'utf8' });
}

it.each(['18.20.8', '8.17.0'])('says what it needs on Node %s, whatever the command', (version) => {
  expect(launchOn(version)).toMatchObject({
    status: 1,
    stdout: '',
    stderr: `stmixer needs Node 20 or later; this is v${version}\n`,
  });
});

it('starts on Node 20', () => {
  const { status, stderr } = launchOn('20.0.0');
  expect(stderr).toMatch(/required option '--config-file <file>' not specified/);
  expect(status).toBe(2);
});
