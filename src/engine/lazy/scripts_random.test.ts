/** @file Captured scripts of random computations: the values and the memory of recording them. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { begin, type Handle, makeGraph, result } from '../../../test/support/number_graph.js';

/** What a random computation does next; numbers pick among the values that there are. */
type Action =
  | { do: 'feed' | 'break' }
  | { do: 'constant'; number: number }
  | { do: 'call'; op: string; operands: number[]; results: number; stream: number }
  | { do: 'read' | 'drop'; which: number };

const pick = fc.nat({ max: 1000 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('feed' as const, 'break') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('constant' as const), number: fc.nat({ max: 3 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      op: fc.constantFrom('f', 'g'),
      operands: fc.array(pick, { minLength: 1, maxLength: 3 }),
      results: fc.integer({ min: 1, max: 2 }),
      stream: fc.nat({ max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('read' as const, 'drop'), which: pick }) },
);

/** A value of a computation, and the number that it has to have. */
interface Entry {
  readonly value: Handle;
  readonly expected: number;
  readonly isComputed: boolean;
}

type Made = ReturnType<typeof makeGraph>;

/** Does the actions. Returns the values that are left, and what was read. The first `numExternals` values stay. */
async function record(made: Made, actions: readonly Action[], externals: readonly Entry[], feeds: number[]) {
  const { graph, feed, known, calls, readAsync } = made;
  const entries = [...externals];
  const reads: number[] = [];
  const given = [...feeds];
  const add = (value: Handle, expected: number, isComputed: boolean) =>
    entries.push({ value, expected, isComputed });
  for (const step of actions) {
    if (step.do === 'break') graph.graphBreak();
    else if (step.do === 'feed') {
      const number = given.shift()!;
      add(feed(number), number, false);
    } else if (step.do === 'constant') add(known(step.number), step.number, false);
    else if (step.do === 'call') {
      const operands = step.operands.map((n) => entries[n % entries.length]);
      const values = operands.map(({ value }) => value);
      const numbers = operands.map(({ expected }) => expected);
      const results = calls(step.op, values, { results: step.results, stream: step.stream });
      for (const [o, value] of results.entries()) add(value, result(step.op, numbers, o), true);
    } else if ('which' in step && entries.length > externals.length) {
      const index = externals.length + (step.which % (entries.length - externals.length));
      const { value, expected, isComputed } = entries[index];
      if (step.do === 'drop') {
        entries.splice(index, 1);
        graph.release(value);
      } else {
        expect(await readAsync(value)).toBe(expected);
        if (isComputed) reads.push(expected);
      }
    }
  }
  await graph.sync();
  return { entries: entries.slice(externals.length), reads };
}

it('gives the values of recording for random computations, with as many buffers left', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40, size: 'max' }), async (actions) => {
      const made = makeGraph();
      const { interpreter, graph, scripts, known, read } = made;
      const numFeeds = actions.filter((step) => step.do === 'feed').length;
      for (let round = 0; round < 4; round++) {
        const externals = [10, 20].map((number) => {
          return { value: known(number + round), expected: number + round, isComputed: false };
        });
        const feeds = Array.from({ length: numFeeds }, (_, i) => 100 * round + i);
        const [kept, consumed] = externals;
        const computation = {
          borrowed: [kept.value],
          consumed: [consumed.value],
          release: () => void graph.release(consumed.value),
        };
        const { run, recording } = begin(scripts, computation);
        expect(run !== null).toBe(round > 1);
        // What recording gives, on another graph.
        const other = makeGraph();
        const copies = externals.map((entry) => ({ ...entry, value: other.known(entry.expected) }));
        const expected = run
          ? await record(other, actions, copies, feeds)
          : await record(made, actions, externals, feeds);
        const results = expected.entries.filter(({ isComputed }) => isComputed);
        if (run) {
          const reads = await replay(run, actions, feeds, expected.reads.length);
          expect(reads).toEqual(expected.reads);
          const buffers = await run.finish();
          expect(buffers.map((buffer) => buffer?.read())).toEqual(results.map((entry) => entry.expected));
          for (const buffer of buffers) buffer?.release();
        } else {
          graph.release(consumed.value);
          recording!.finish({
            replaced: [],
            made: results.map(({ value }) => ({ value, view: [2] })),
            notes: '',
            feeds: numFeeds,
            reads: expected.reads.length,
          });
          for (const { value } of expected.entries) graph.release(value);
        }
        expect(read(kept.value)).toBe(kept.expected);
        graph.release(kept.value);
        // Trusted scripts keep constants.
        expect(interpreter.alive.size).toBeLessThanOrEqual(round > 1 ? 4 : 0);
      }
      scripts.dispose();
      expect(interpreter.alive.size).toBe(0);
    }),
    { numRuns: 150, seed: 1 },
  );
});

/** Feeds and reads a script as the recording did. */
async function replay(
  run: NonNullable<ReturnType<typeof begin>['run']>,
  actions: readonly Action[],
  feeds: readonly number[],
  numReads: number,
): Promise<number[]> {
  const given = [...feeds];
  const reads: number[] = [];
  const { steps } = run.script.content;
  expect(steps.filter(({ kind }) => kind === 'read')).toHaveLength(numReads);
  for (const step of actions) if (step.do === 'feed') run.feed(Float32Array.of(given.shift()!));
  for (let i = 0; i < numReads; i++) reads.push((await run.read())[0]);
  return reads;
}
