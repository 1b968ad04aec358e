/** @file Output of a progress bar. */
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Progress } from './progress.js';

beforeEach(() => void vi.stubEnv('TERM', 'xterm'));
afterEach(() => void vi.unstubAllEnvs());

/** A terminal, and what was written to it. */
function terminal(): { stream: NodeJS.WriteStream; written: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY: true, columns: 80 }) as never, written: () => text };
}

it('never hides the cursor, because a killed process could not show it again', () => {
  const { stream, written } = terminal();
  const progress = new Progress(10, 'frames', stream);
  progress.update(5);
  progress.log('a line');
  progress.close();
  expect(written()).toContain('a line');
  expect(written()).not.toContain('\x1b[?25l');
});

it('shows only the count if the total is unknown', () => {
  const { stream, written } = terminal();
  const progress = new Progress(null, 'frames', stream);
  progress.update(1234);
  progress.log('a line');
  progress.close();
  expect(written()).toContain('1,234 frames');
  expect(written()).not.toMatch(/%| of |left/);
});
