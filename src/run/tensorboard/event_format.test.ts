/** @file The bytes of an event against those of TensorBoard's own code. */
import { expect, it } from 'vitest';
import { encodeEvent } from './event_format.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

it('has the field numbers of TensorBoard', () => {
  expect(hex(encodeEvent({ wall_time: 1.5, step: 0, file_version: 'brain.Event:2' }))).toMatch(
    /^09000000000000f83f(1000)?1a0d627261696e2e4576656e743a32$/,
  );
  const summary = { value: [{ tag: 'train/loss', simple_value: 0.25 }] };
  expect(hex(encodeEvent({ wall_time: 2, step: 300, summary }))).toBe(
    '09000000000000004010ac022a130a110a0a747261696e2f6c6f7373150000803e',
  );
});
