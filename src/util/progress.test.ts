/** @file What a progress bar writes to a terminal. */
import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { Progress } from './progress.js';

it('never hides the cursor: a process that is killed could not show it again', () => {
  let written = '';
  const terminal = new Writable({
    write(chunk, _encoding, done) {
      written += chunk;
      done();
    },
  });
  const progress = new Progress(10, 'frames', Object.assign(terminal, { isTTY: true, columns: 80 }) as never);
  progress.update(5);
  progress.log('a line');
  progress.close();
  expect(written).toContain('a line');
  expect(written).not.toContain('\x1b[?25l');
});
