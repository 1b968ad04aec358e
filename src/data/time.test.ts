/** @file Times of key frames: which are the same, how they are written, and which frame shows them. */
import { describe, expect, it } from 'vitest';
import {
  exactStep,
  frameOf,
  isInRange,
  isOnGrid,
  KeyFrameTimes,
  TimeMap,
  timeBaseOf,
  timeText,
} from './time.js';

const base = (FIRST_SECOND: number, LAST_SECOND = 1798, FPS = 30) =>
  timeBaseOf({ FIRST_SECOND, LAST_SECOND, FPS });

it('writes whole seconds with four digits, and fractions only where there are some', () => {
  expect([2, 902, 1798, 12345].map(timeText)).toEqual(['0002', '0902', '1798', '12345']);
  expect([0.5, 91.25, 1 / 30, 901.7 + 0.3, -0].map(timeText)).toEqual([
    '0000.5',
    '0091.25',
    '0000.033333',
    '0902',
    '0000',
  ]);
  expect([-5, -0.5].map(timeText).map(Number)).toEqual([-5, -0.5]);
});

describe('a map of times', () => {
  it('has one key frame for times that are a thousandth apart, on either side of a millisecond', () => {
    const map = new TimeMap<string>();
    map.set(0.0665, 'a');
    expect([0.0665, 0.066, 0.067, 0.0674, 0.0656].map((time) => map.get(time))).toEqual(Array(5).fill('a'));
    expect([0.0677, 0.0654, 0.1, 0].map((time) => map.has(time))).toEqual(Array(4).fill(false));
    map.set(0.0667, 'b');
    expect([...map]).toEqual([[0.0665, 'b']]);
  });

  it('tells the frames of a video at 25 and 30 frames per second apart', () => {
    for (const fps of [25, 30, 60]) {
      const times = new KeyFrameTimes();
      const exact = Array.from({ length: 1000 }, (_, frame) => frame / fps);
      const timesOf = (seconds: number[]) => seconds.map((second) => times.timeOf('v', second));
      expect(timesOf(exact)).toEqual(exact);
      expect(timesOf(exact.map((second) => Number(second.toFixed(3))))).toEqual(exact);
      expect(timesOf(exact.map((second) => Math.floor(second * 1000) / 1000))).toEqual(exact);
    }
  });
});

it('begins at 902 in the time base of AVA, and at the first frame in any other', () => {
  expect([900, 901.5, 902, 902.5, 1798, 1798.5].map((time) => isInRange(time, base(900)))).toEqual([
    false,
    false,
    true,
    true,
    true,
    false,
  ]);
  expect([-0.5, 0, 0.5, 10, 10.0005, 10.01].map((time) => isInRange(time, base(0, 10)))).toEqual([
    false,
    true,
    true,
    true,
    true,
    false,
  ]);
});

it('finds the same frame for a time from 0 and from 900', () => {
  for (const time of [0.1, 0.3, 0.5, 0.7, 1.1, 2.3, 4.7]) {
    expect(frameOf(900 + time, base(900, 1798, 25))).toBe(frameOf(time, base(0, 1798, 25)));
  }
});

it('takes a step that is a rounded time of frames for the exact one', () => {
  expect([0.033, 0.0333, 0.067].map((step) => exactStep(step, 30))).toEqual([1 / 30, 1 / 30, 2 / 30]);
  expect([0.5, 0.03, 1].map((step) => exactStep(step, 25))).toEqual([0.5, 0.03, 1]);
  expect([0, 33.333, 33.3, 100.033].map((time) => isOnGrid(time, 0.033, base(0)))).toEqual(
    Array(4).fill(true),
  );
  expect([0.5, 91].map((time) => isOnGrid(time, 1, base(0)))).toEqual([false, true]);
});
