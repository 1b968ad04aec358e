/** @file Tests of event files, read back by a reader of our own; test/tensorboard.test.ts reads them with TensorBoard. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventFiles, readEvents, scalarsOf, valuesOf } from '../../../test/support/event_file.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { EventWriter } from './event_writer.js';

/** A writer in a new folder, and a look at its file, which is never closed before. */
function open(firstStep = 1) {
  const folder = join(temporaryFolder(), 'deep', 'tensorboard');
  const before = Date.now();
  const writer = new EventWriter(folder, firstStep);
  const [path] = eventFiles(folder);
  return { folder, writer, path, before, events: () => readEvents(path) };
}

describe('EventWriter', () => {
  it('names its file as TensorBoard expects and starts with version and session', () => {
    const { path, before, events } = open(21);
    const [, seconds, rest] = /^events\.out\.tfevents\.(\d{10})\.(.*)$/.exec(basename(path))!;
    expect(Number(seconds)).toBeGreaterThanOrEqual(Math.floor(before / 1000));
    expect(rest).toBe(`${hostname()}.${process.pid}.0`);
    expect(events()).toEqual([
      { wall_time: expect.any(Number), step: 0, file_version: 'brain.Event:2' },
      { wall_time: expect.any(Number), step: 21, session_log: { status: 1 } },
    ]);
    expect(events()[0].wall_time).toBeGreaterThanOrEqual(before / 1000);
  });

  it('has written every scalar, of any value, when the call returns', () => {
    const { writer, events } = open();
    const values = [0, 0.25, -3, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [i, value] of values.entries()) {
      writer.scalar('train/loss', value, i + 1);
      expect(scalarsOf(events())['train/loss']).toEqual(
        values.slice(0, i + 1).map((written, step) => [step + 1, written]),
      );
    }
    writer.scalar('é/漢', 1, 2 ** 40);
    expect(scalarsOf(events())['é/漢']).toEqual([[2 ** 40, 1]]);
  });

  it('writes images, histograms and texts', () => {
    const { writer, events } = open();
    const png = Uint8Array.of(1, 2, 3);
    writer.image('picture', { png, width: 40, height: 30 }, 5);
    writer.histogram('weights', Float32Array.of(-1, 0.5), 6);
    writer.text('config', '# Title', 7);
    expect(valuesOf(events())).toMatchObject([
      {
        tag: 'picture',
        step: 5,
        image: { width: 40, height: 30, encoded_image_string: Buffer.from(png) },
      },
      { tag: 'weights', step: 6, histo: { min: -1, max: 0.5, num: 2 } },
      {
        tag: 'config',
        step: 7,
        metadata: { plugin_data: { plugin_name: 'text' } },
        tensor: { string_val: [Buffer.from('# Title')] },
      },
    ]);
  });

  it('creates a new file each time', () => {
    const { folder, writer } = open();
    writer.scalar('a', 1, 1);
    const again = new EventWriter(folder, 2);
    again.scalar('a', 2, 2);
    expect(eventFiles(folder).map((path) => scalarsOf(readEvents(path)).a)).toEqual([[[1, 1]], [[2, 2]]]);
  });

  it('leaves a file that is readable up to the last whole record if it is cut off anywhere', () => {
    const { writer, path } = open();
    for (let step = 1; step <= 3; step++) writer.scalar('a', step, step);
    const whole = readFileSync(path);
    const count = readEvents(path).length;
    for (let size = whole.length - 1; size >= startOf(whole, count - 1); size--) {
      truncateSync(path, size);
      expect(readEvents(path)).toHaveLength(count - 1);
    }
    const broken = Buffer.from(whole);
    broken[broken.length - 6] ^= 1;
    writeFileSync(path, broken);
    expect(() => readEvents(path)).toThrow('wrong checksum');
  });

  it("throws the system's error for a folder that it cannot create", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    expect(() => new EventWriter(join(folder, 'file'), 1)).toThrow('EEXIST');
  });
});

/** Where record `index` begins. */
function startOf(bytes: Buffer, index: number): number {
  let at = 0;
  for (let i = 0; i < index; i++) at += 16 + Number(bytes.readBigUInt64LE(at));
  return at;
}
