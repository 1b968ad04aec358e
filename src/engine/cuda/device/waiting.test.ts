/** @file Waiting with a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import { type Clock, Waiter } from './waiting.js';

/** A clock on which looking around takes 0.1 ms; lists the sleeps. */
function fakeClock(): Clock & { time: number; readonly sleeps: number[] } {
  const clock = {
    time: 0,
    sleeps: [] as number[],
    now: () => clock.time,
    sleep: async (milliseconds: number) => {
      clock.sleeps.push(milliseconds);
      clock.time += milliseconds || 0.1;
    },
  };
  return clock;
}

/** Waits for something that takes `milliseconds`; returns its sleeps. */
async function wait(
  waiter: Waiter,
  clock: ReturnType<typeof fakeClock>,
  milliseconds: number,
): Promise<number[]> {
  const end = clock.time + milliseconds;
  clock.sleeps.length = 0;
  await waiter.until(() => clock.time >= end);
  expect(clock.time).toBeGreaterThanOrEqual(end);
  return [...clock.sleeps];
}

describe('Waiter', () => {
  it('does not sleep for what is done', async () => {
    const clock = fakeClock();
    expect(await wait(new Waiter(clock), clock, 0)).toEqual([]);
  });

  it('asks all the time at first, then once per millisecond', async () => {
    const clock = fakeClock();
    const sleeps = await wait(new Waiter(clock), clock, 20);
    const [short, long] = [sleeps.filter((time) => time === 0), sleeps.filter((time) => time === 1)];
    expect(short.length + long.length).toBe(sleeps.length);
    expect(short.length).toBeGreaterThan(40);
    expect(long.length).toBe(15);
  });

  it('sleeps until shortly before the end that it has learned', async () => {
    const clock = fakeClock();
    const waiter = new Waiter(clock);
    for (let i = 0; i < 8; i++) await wait(waiter, clock, 20 + i);
    const sleeps = await wait(waiter, clock, 20);
    expect(sleeps[0]).toBe(18);
    expect(sleeps.slice(1).every((time) => time === 0)).toBe(true);
  });

  it('learns that waits have become shorter', async () => {
    const clock = fakeClock();
    const waiter = new Waiter(clock);
    for (let i = 0; i < 8; i++) await wait(waiter, clock, 50);
    const first = [];
    for (let i = 0; i < 5; i++) first.push((await wait(waiter, clock, 3))[0]);
    expect(first).toEqual([48, 22, 9, 3, 0]);
  });
});
