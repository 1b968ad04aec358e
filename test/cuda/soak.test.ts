/** @file Hundreds of steps: memory of the GPU, graphs, kernels and handles do not grow. */
import { expect, it, onTestFinished } from 'vitest';
import { lazyStatistics } from '../../src/engine/lazy_hints.js';
import { tf } from '../../src/engine/tfjs.js';
import { openFiles, smallTraining, startWith } from './training.js';

const SIZES = [
  [32, 32],
  [32, 64],
] as const;
const WARM_UP = 24;
const STEPS = process.env.STMIXER_LONG_TESTS ? 500 : 60;

const { standIn, backend } = await startWith();

/** What is created and destroyed in pairs. */
const PAIRS = [
  ['cuGraphInstantiateWithFlags', 'cuGraphExecDestroy'],
  ['cuStreamEndCapture', 'cuGraphDestroy'],
  ['cuEventCreate', 'cuEventDestroy_v2'],
  ['cuMemHostAlloc', 'cuMemFreeHost'],
] as const;

it(`keeps the same memory, graphs and handles for ${STEPS} steps`, async () => {
  const training = smallTraining();
  onTestFinished(() => training.dispose());
  const step = (n: number) => {
    const [height, width] = SIZES[n % SIZES.length];
    return training.step(height, width);
  };
  for (let n = 0; n < WARM_UP; n++) await step(n);
  const inventory = () => ({
    blocks: backend.device.region.blocks,
    bytes: backend.device.region.statistics,
    tensors: tf.memory().numTensors,
    buffers: backend.numDataIds(),
    compiled: lazyStatistics()!.compiled,
    allocations: standIn.liveAllocations(),
    files: openFiles(),
    alive: PAIRS.map(([create, destroy]) => standIn.callsOf(create) - standIn.callsOf(destroy)),
  });
  standIn.resetCounters();
  const expected = inventory();
  for (let n = 0; n < STEPS; n++) {
    await step(WARM_UP + n);
    expect(inventory(), `step ${n}`).toEqual(expected);
  }
}, 1_800_000);
