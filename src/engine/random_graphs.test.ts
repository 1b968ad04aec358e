/** @file Random programs give the same values and gradients on an engine that records as on tfjs's plain backend. */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { RECORDING_ENGINE, TEST_DEVICE } from '../../test/support/engine.js';
import { makeLeaves, type Program, play, program, weigh } from '../../test/support/random_graph.js';
import { backward } from '../nn/tape.js';
import { selectEngine } from './index.js';
import { sync } from './lazy_hints.js';
import { tf } from './tfjs.js';

const TOLERANCE = 1e-4;
/** The stand-in for CUDA compiles the kernels of each program with g++. */
const NUM_RUNS = RECORDING_ENGINE === 'cuda' ? 40 : process.env.STMIXER_LONG_TESTS ? 3000 : 150;

beforeAll(async () => {
  await selectEngine({ engine: RECORDING_ENGINE, device: TEST_DEVICE, strict: true });
});

/** Numbers of one kind after the other, each kind with the shapes of its tensors. */
interface Outcome {
  read: number[][];
  /** Of what is alive at the end. */
  values: number[][];
  shapes: number[][];
  gradients: (number[] | null)[];
}

const numbersOf = (x: tf.Tensor) => Array.from(x.dataSync());

/** Reads everything at once, and differentiates. */
function evaluate(what: Program): Outcome {
  const leaves = makeLeaves(what);
  const read: number[][] = [];
  let ends: tf.Tensor[] = [];
  const { value, grads } = backward(() => {
    const steps = play(what, leaves);
    let next = steps.next();
    for (; !next.done; next = steps.next()) read.push(numbersOf(next.value));
    ends = next.value.map((x) => tf.keep(x.clone()));
    return weigh(next.value);
  }, leaves);
  const outcome = {
    read,
    values: [...ends, value].map(numbersOf),
    shapes: ends.map(({ shape }) => shape),
    gradients: grads.map((gradient) => gradient && numbersOf(gradient)),
  };
  tf.dispose([value, ...ends, ...leaves, ...grads.filter((gradient) => gradient !== null)]);
  return outcome;
}

/** Without gradients; every other read goes on while its value is computed, and so does everything else. */
async function evaluateAhead(what: Program): Promise<Omit<Outcome, 'gradients'>> {
  const leaves = makeLeaves(what);
  const read: Promise<number[]>[] = [];
  const finished: Promise<void>[] = [];
  const steps = play(what, leaves);
  let next = steps.next();
  for (; !next.done; next = steps.next()) {
    const numbers = next.value.data().then((data) => Array.from(data));
    read.push(numbers);
    if (read.length % 3 === 0) finished.push(sync());
    if (read.length % 2 === 0) await numbers;
  }
  const ends = next.value;
  const outcome = {
    read: await Promise.all(read),
    values: await Promise.all(ends.map(async (x) => Array.from(await x.data()))),
    shapes: ends.map(({ shape }) => shape),
  };
  await Promise.all(finished);
  tf.dispose([...ends, ...leaves]);
  return outcome;
}

function expectSame(
  actual: readonly (number[] | null)[],
  expected: readonly (number[] | null)[],
  what: string,
) {
  expect(actual.length).toBe(expected.length);
  for (const [i, numbers] of expected.entries()) {
    expect(actual[i]?.length, `${what} ${i}`).toBe(numbers?.length);
    // In units of the largest, and at least of 1: where terms of that size cancel, nothing smaller is left.
    const scale = (numbers ?? []).reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    for (const [j, x] of (numbers ?? []).entries()) {
      const y = actual[i]?.[j] as number;
      if (!(Math.abs(x - y) <= TOLERANCE * scale)) expect.fail(`${what} ${i}[${j}]: ${y} instead of ${x}`);
    }
  }
}

async function on<T>(backend: string, compute: () => T): Promise<T> {
  await tf.setBackend(backend);
  const { numTensors } = tf.memory();
  const result = await compute();
  expect(tf.memory().numTensors, 'tensors left behind').toBe(numTensors);
  return result;
}

it('computes the values and gradients of random programs', async () => {
  await fc.assert(
    fc.asyncProperty(program, async (what) => {
      const expected = await on('cpu', () => evaluate(what));
      const actual = await on(RECORDING_ENGINE, () => evaluate(what));
      expect(actual.shapes).toEqual(expected.shapes);
      expectSame(actual.read, expected.read, 'read');
      expectSame(actual.values, expected.values, 'value');
      expectSame(actual.gradients, expected.gradients, 'gradient');
    }),
    { numRuns: NUM_RUNS, seed: 1 },
  );
}, 600_000);

it('reads values while others are computed', async () => {
  await fc.assert(
    fc.asyncProperty(program, async (what) => {
      const expected = await on('cpu', () => evaluateAhead(what));
      const actual = await on(RECORDING_ENGINE, () => evaluateAhead(what));
      expect(actual.shapes).toEqual(expected.shapes);
      expectSame(actual.read, expected.read, 'read');
      expectSame(actual.values, expected.values, 'value');
    }),
    { numRuns: NUM_RUNS, seed: 1 },
  );
}, 600_000);
