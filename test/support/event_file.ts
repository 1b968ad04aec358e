/** @file Reads event files of TensorBoard, with every checksum. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Event, EventMessage, type SummaryValue } from '../../src/run/tensorboard/event_format.js';
import { FOOTER_BYTES, HEADER_BYTES, maskedCrc32c } from '../../src/run/tensorboard/records.js';

/** The event files of a folder, in the order in which TensorBoard reads them. */
export function eventFiles(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
}

/** The events up to the last whole record, as readers take them from a file that is being written. */
export function readEvents(path: string): Event[] {
  const bytes = readFileSync(path);
  const events: Event[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const footer = at + HEADER_BYTES + length;
    if (bytes.readUInt32LE(at + 8) !== maskedCrc32c(bytes.subarray(at, at + 8)))
      throw new Error(`${path}: the length at byte ${at} has a wrong checksum`);
    if (footer + FOOTER_BYTES > bytes.length) break;
    const data = bytes.subarray(at + HEADER_BYTES, footer);
    if (bytes.readUInt32LE(footer) !== maskedCrc32c(data))
      throw new Error(`${path}: the record at byte ${at} has a wrong checksum`);
    const event = EventMessage.toObject(EventMessage.decode(data), { longs: Number });
    // Zeros are not in a file.
    events.push({ step: 0, ...event } as Event);
    at = footer + FOOTER_BYTES;
  }
  return events;
}

/** Every value of some events with its step. */
export function valuesOf(events: readonly Event[]): (SummaryValue & { step: number })[] {
  return events.flatMap((event) =>
    'summary' in event ? event.summary.value.map((value) => ({ ...value, step: event.step })) : [],
  );
}

/** Tag → [step, value] of the scalars. */
export function scalarsOf(events: readonly Event[]): Record<string, [step: number, value: number][]> {
  const scalars: Record<string, [number, number][]> = {};
  for (const value of valuesOf(events)) {
    if (!('simple_value' in value)) continue;
    scalars[value.tag] ??= [];
    scalars[value.tag].push([value.step, value.simple_value]);
  }
  return scalars;
}
