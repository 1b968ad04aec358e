/** @file Colours and progress bars by terminal and environment. */
import { expect, it } from 'vitest';
import { showsChanges, showsColours } from './terminal.js';

it.each([
  [true, {}, true],
  [false, {}, false],
  [undefined, {}, false],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '' }, true],
  [true, { TERM: 'dumb' }, false],
  [true, { TERM: 'xterm' }, true],
  [false, { FORCE_COLOR: '1' }, true],
  [false, { FORCE_COLOR: '' }, true],
  [true, { FORCE_COLOR: '0' }, false],
  [true, { FORCE_COLOR: 'false' }, false],
  [false, { FORCE_COLOR: '1', NO_COLOR: '1', TERM: 'dumb' }, true],
])('with isTTY %s and %o, colours are shown: %s', (isTTY, env, expected) => {
  expect(showsColours({ isTTY }, env)).toBe(expected);
});

it('progress bars need a terminal that is not dumb, whatever its colours', () => {
  expect(showsChanges({ isTTY: true }, { NO_COLOR: '1' })).toBe(true);
  expect(showsChanges({ isTTY: true }, { TERM: 'dumb', FORCE_COLOR: '1' })).toBe(false);
  expect(showsChanges({ isTTY: false }, {})).toBe(false);
});
