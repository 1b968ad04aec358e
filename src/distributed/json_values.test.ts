/** @file Values of processes, sent as JSON. */
import { expect, it } from 'vitest';
import { inProcesses } from '../../test/support/processes.js';
import { SINGLE_PROCESS } from './communicator.js';
import { allGatherJson, broadcastJson, firstOf, gatherJson } from './json_values.js';

it('gives all processes the value of the lowest one that has one', async () => {
  const found = await inProcesses(4, (communicator) =>
    firstOf(communicator, communicator.rank >= 2 ? `from ${communicator.rank}` : null),
  );
  expect(found).toEqual(Array(4).fill('from 2'));
  expect(await inProcesses(3, (communicator) => firstOf(communicator, null))).toEqual([null, null, null]);
});

it('broadcasts values of any length from any process', async () => {
  const value = { text: 'größer '.repeat(1000), list: [1, null, true] };
  const received = await inProcesses(3, (communicator) =>
    broadcastJson(communicator, communicator.rank === 1 ? value : null, 1),
  );
  expect(received).toEqual([value, value, value]);
});

it('gathers the values of all processes on process 0', async () => {
  const gathered = await inProcesses(3, (communicator) =>
    gatherJson(communicator, { name: `größe ${communicator.rank}` }),
  );
  const names = [0, 1, 2].map((rank) => ({ name: `größe ${rank}` }));
  expect(gathered).toEqual([names, null, null]);
  expect(await inProcesses(2, (communicator) => allGatherJson(communicator, communicator.rank))).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

it('returns the own value of a process that works alone', async () => {
  expect(await firstOf(SINGLE_PROCESS, 'own')).toBe('own');
  expect(await firstOf(SINGLE_PROCESS, null)).toBeNull();
  expect(await broadcastJson(SINGLE_PROCESS, [1])).toEqual([1]);
});
