/** @file Tests of sums in the memory of the host: of arrays and native memory, together and alone, step after step. */
import { expect, it } from 'vitest';
import { inProcesses } from '../../test/support/processes.js';
import { addressOf, NativeFloats, nativeBytes } from '../util/native/native.js';
import type { Communicator } from './communicator.js';
import { type HostGradient, HostReducer } from './host_reducer.js';

/** More numbers than are copied. */
const MANY = 2 ** 16 + 3;

/** A gradient in an array or in native memory, and how to read it. */
function gradientOf(values: readonly number[], native: boolean): { memory: HostGradient; read(): number[] } {
  const bytes = nativeBytes(4 * values.length);
  const array = new Float32Array(bytes.buffer);
  array.set(values);
  return {
    memory: native ? new NativeFloats(BigInt(addressOf(bytes)), values.length) : array,
    read: () => Array.from(array),
  };
}

const numbers = (length: number, factor: number) => Array.from({ length }, (_, i) => factor * (i % 100));

/** A communicator that notes what it sums. */
function noted(communicator: Communicator) {
  const summed: unknown[] = [];
  const allReduce: Communicator['allReduce'] = (memory, op) => {
    summed.push(memory);
    return communicator.allReduce(memory, op);
  };
  return { summed, communicator: { ...communicator, allReduce } };
}

it('sums arrays and native memory, few numbers and many, in step after step', async () => {
  await inProcesses(2, async (communicator) => {
    const reducer = new HostReducer(communicator);
    for (const lengths of [
      [3, MANY, 1, 7],
      [3, MANY, 1, 7],
      [5, MANY],
    ]) {
      const gradients = lengths.map((length, i) =>
        gradientOf(numbers(length, communicator.rank + i), i % 2 === 0),
      );
      reducer.begin(gradients.map(({ memory }) => memory));
      await reducer.finish();
      for (const [i, { read }] of gradients.entries()) expect(read()).toEqual(numbers(lengths[i], 1 + 2 * i));
    }
  });
});

it('sums many numbers where they are, and few ones of each bucket in the same memory in every step', async () => {
  await inProcesses(2, async (inner) => {
    const { summed, communicator } = noted(inner);
    const reducer = new HostReducer(communicator);
    const step = async () => {
      summed.length = 0;
      const gradients = [
        gradientOf([1, 2], true),
        gradientOf(numbers(MANY, 1), true),
        gradientOf([3], false),
        gradientOf([4], true),
      ];
      const [two, many, one, another] = gradients.map(({ memory }) => memory);
      reducer.begin([two, many, one]);
      reducer.begin([another]);
      await reducer.finish();
      expect(gradients.map(({ read }) => read()[1] ?? read()[0])).toEqual([4, 2, 6, 8]);
      expect(summed).toHaveLength(3);
      expect(summed[0]).toBe(many);
      return summed.slice(1);
    };
    const [first, second] = await step();
    expect(first).toEqual(Float32Array.of(2, 4, 6));
    expect(second).toEqual(Float32Array.of(8));
    const next = await step();
    expect(next[0]).toBe(first);
    expect(next[1]).toBe(second);
  });
});
