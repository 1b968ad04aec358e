/** @file Time in a data set: key frames are times in seconds, which may have fractions and are never rounded. */
import type { Config } from '../config/index.js';

/**
 * Times of one video that differ by this much or less, in seconds, are one key frame, because files write the time of a
 * frame with different numbers of digits (1/30 s is 0.033 or 0.0333).
 */
const SAME_TIME = 0.001;
/** Error of sums and differences of decimal fractions in binary. */
const NOISE = 1e-9;
/** Fractions of a second in files, where a time is written or computed: microseconds. */
const DIGITS = 6;

/** AVA.FIRST_SECOND of AVA, in whose time base the first two seconds have no key frames. */
export const AVA_FIRST_SECOND = 900;
const AVA_FIRST_KEY_FRAME = 902;
/** The last annotated second of AVA. */
export const AVA_LAST_SECOND = 1798;

export function isSameTime(a: number, b: number): boolean {
  return Math.abs(a - b) <= SAME_TIME + NOISE;
}

/** A sum or product of times without the noise of binary fractions: 901.7 + 0.3 is 902. */
export function exactTime(second: number): number {
  return Number(second.toFixed(DIGITS)) + 0;
}

/** A time as AVA's csv files write it: four digits before the point, and a fraction only if there is one. */
export function timeText(second: number): string {
  const time = exactTime(second);
  const [whole, fraction] = Math.abs(time)
    .toFixed(DIGITS)
    .replace(/\.?0+$/, '')
    .split('.');
  const text = time < 0 ? `-${whole.padStart(3, '0')}` : whole.padStart(4, '0');
  return fraction === undefined ? text : `${text}.${fraction}`;
}

/** A time for people to read: 91.5, or 0.033 for 1/30. */
export function readableTime(second: number): string {
  return String(Number(second.toFixed(3)) + 0);
}

/** Values of the key frames of one video. A time finds the key frame that it belongs to; the first time names it. */
export class TimeMap<T> {
  readonly #values = new Map<number, T>();
  /** Millisecond → the time of its key frame. */
  readonly #byMillisecond = new Map<number, number>();
  #hasFractions = false;

  get size(): number {
    return this.#values.size;
  }

  /** The time of the nearest key frame that a time belongs to; undefined if there is none. */
  timeOf(second: number): number | undefined {
    if (this.#values.has(second)) return second;
    // Lists of whole seconds may be long, and are searched often.
    if (!this.#hasFractions && Number.isInteger(second)) return undefined;
    const millisecond = Math.round(second * 1000);
    let best: number | undefined;
    for (let near = millisecond - 2; near <= millisecond + 2; near++) {
      const time = this.#byMillisecond.get(near);
      if (time === undefined || !isSameTime(time, second)) continue;
      if (best === undefined || Math.abs(time - second) < Math.abs(best - second)) best = time;
    }
    return best;
  }

  has(second: number): boolean {
    return this.timeOf(second) !== undefined;
  }

  get(second: number): T | undefined {
    const time = this.timeOf(second);
    return time === undefined ? undefined : this.#values.get(time);
  }

  set(second: number, value: T): void {
    const time = this.timeOf(second) ?? second;
    this.#values.set(time, value);
    this.#byMillisecond.set(Math.round(time * 1000), time);
    if (!Number.isInteger(time)) this.#hasFractions = true;
  }

  /** The times of the key frames, in the order in which they were set. */
  keys(): IterableIterator<number> {
    return this.#values.keys();
  }

  [Symbol.iterator](): IterableIterator<[number, T]> {
    return this.#values[Symbol.iterator]();
  }
}

/** A set of times of one video. */
export function timeSet(seconds: Iterable<number>): TimeMap<true> {
  const set = new TimeMap<true>();
  for (const second of seconds) set.set(second, true);
  return set;
}

/** The key frames of many videos, for files that may write the time of one key frame in different ways. */
export class KeyFrameTimes {
  readonly #videos = new Map<string, TimeMap<true>>();

  /** The time by which a key frame was first named. */
  timeOf(video: string, second: number): number {
    let times = this.#videos.get(video);
    if (!times) {
      times = new TimeMap();
      this.#videos.set(video, times);
    }
    const time = times.timeOf(second);
    if (time !== undefined) return time;
    times.set(second, true);
    return second;
  }
}

/** The time base of a data set. */
export interface TimeBase {
  /** The time of the first frame of each video. */
  readonly first: number;
  /** The first time that a key frame may have. */
  readonly firstKeyFrame: number;
  /** The last time that a key frame may have. */
  readonly last: number;
  /** Frames per second. */
  readonly fps: number;
}

/** The time base of the settings under AVA. */
export function timeBaseOf({
  FIRST_SECOND: first,
  LAST_SECOND: last,
  FPS: fps,
}: Pick<Config['AVA'], 'FIRST_SECOND' | 'LAST_SECOND' | 'FPS'>): TimeBase {
  // The official code skips key frames before 902.
  const firstKeyFrame = first === AVA_FIRST_SECOND ? AVA_FIRST_KEY_FRAME : first;
  return { first, firstKeyFrame, last, fps };
}

/** Whether key frames may have this time. */
export function isInRange(second: number, { firstKeyFrame, last }: TimeBase): boolean {
  return second >= firstKeyFrame - SAME_TIME - NOISE && second <= last + SAME_TIME + NOISE;
}

/** The range of key frames for messages. */
export function rangeOf({ firstKeyFrame, last }: TimeBase): string {
  return `${firstKeyFrame}…${last}`;
}

/** Says with which setting out-of-range times between `min` and `max` would be used, or why there is none. */
export function adviceForOutside({ first, firstKeyFrame, last }: TimeBase, min: number, max: number): string {
  const advice: string[] = [];
  if (min < first - SAME_TIME) {
    const begin = min >= 0 ? 0 : Math.floor(min);
    const fact = `second ${readableTime(min)} is before the first frame`;
    advice.push(`${fact}: set AVA.FIRST_SECOND ${begin} if the first frame of each video is second ${begin}`);
  } else if (min < firstKeyFrame - SAME_TIME) {
    advice.push(
      `as in the official code, the first two seconds have no key frames with AVA.FIRST_SECOND ${first}`,
    );
  }
  if (max > last + SAME_TIME)
    advice.push(
      `set AVA.LAST_SECOND ${Math.ceil(max)} to use rows up to second ${readableTime(max)}` +
        (max - first > 2 * (last - first) ? ', unless these are frame numbers or milliseconds' : ''),
    );
  return advice.join('; ');
}

/** The number of the frame that shows a time. */
export function frameOf(second: number, { first, fps }: Pick<TimeBase, 'first' | 'fps'>): number {
  return Math.round(exactTime((second - first) * fps)) + 0;
}

/** The step between key frames: that of a whole number of frames if the given one is a rounded form of it, like 0.033 at 30 fps. */
export function exactStep(step: number, fps: number): number {
  const frames = Math.max(1, Math.round(step * fps));
  return isSameTime(step, frames / fps) ? frames / fps : step;
}

/** Whether a time is one of `first`, `first + step`, `first + 2 · step` … */
export function isOnGrid(
  second: number,
  step: number,
  { first, fps }: Pick<TimeBase, 'first' | 'fps'>,
): boolean {
  const exact = exactStep(step, fps);
  return isSameTime(second, first + Math.round((second - first) / exact) * exact);
}
