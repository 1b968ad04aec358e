/** @file Defaults of a detection. */
import { expect, it } from 'vitest';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { withDefaults } from './options.js';

it('takes the step between key frames from the data set, unless one is given', () => {
  const cfg = tinyConfig({ 'AVA.KEY_FRAME_STEP': 0.5 });
  expect(withDefaults(cfg, { input: 'a', out: 'b' }).step).toBe(0.5);
  expect(withDefaults(cfg, { input: 'a', out: 'b', step: 2 }).step).toBe(2);
});
