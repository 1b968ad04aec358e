/** @file Nothing grows from step to step on `onnx`, at clip sizes that change: tensors, native memory, JavaScript's heap. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { type Engine, selectEngine } from '../../src/engine/index.js';
import { lazyStatistics } from '../../src/engine/lazy_hints.js';
import type { OnnxBackend } from '../../src/engine/onnx/backend.js';
import type { OrtTensor } from '../../src/engine/onnx/ort_tensor.js';
import { OrtRuntime } from '../../src/engine/onnx/runtime.js';
import { tf } from '../../src/engine/tfjs.js';
import { TEST_DEVICE } from '../support/engine.js';
import { TinyTraining } from '../support/tiny_training.js';

const SIZES = [
  [32, 32],
  [32, 64],
  [64, 64],
] as const;
/** Until the system's and JavaScript's own memory has the size that it keeps. */
const WARM_UP = 30;
/** A software GPU, whose memory is the process's, has more ways to hold on to memory. */
const STEPS = TEST_DEVICE === 'gpu' ? 500 : 60;
/** Half of the tiny model, so that a step on a software GPU takes half of the time. */
const MODEL = TEST_DEVICE === 'gpu' ? { 'ViT.DEPTH': 1, 'MODEL.STM.NUM_STAGES': 1 } : {};
const MIB = 2 ** 20;

let engine: Engine;

beforeAll(async () => {
  engine = await selectEngine({ engine: 'onnx', device: TEST_DEVICE });
});

/** Follows how many native tensors there are. Not with spies, which keep all that they are called with. */
function countNativeTensors(): () => number {
  let alive = 0;
  const { allocate, run, runAsync } = OrtRuntime.prototype;
  const sample = (tf.backend() as OnnxBackend).tensors.allocate([], 'float32');
  const tensorPrototype: OrtTensor = Object.getPrototypeOf(sample);
  const { release } = tensorPrototype;
  sample.release();
  const counted = (results: OrtTensor[]) => {
    alive += results.length;
    return results;
  };
  OrtRuntime.prototype.allocate = function (...args) {
    return counted([allocate.apply(this, args)])[0];
  };
  OrtRuntime.prototype.run = function (...args) {
    return counted(run.apply(this, args));
  };
  OrtRuntime.prototype.runAsync = async function (...args) {
    return counted(await runAsync.apply(this, args));
  };
  tensorPrototype.release = function () {
    release.apply(this);
    alive--;
  };
  onTestFinished(() => {
    Object.assign(OrtRuntime.prototype, { allocate, run, runAsync });
    tensorPrototype.release = release;
  });
  return () => alive;
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

it(`training keeps the same tensors, executables and memory for ${STEPS} steps`, async () => {
  const nativeTensors = countNativeTensors();
  const before = tf.memory().numTensors;
  const training = new TinyTraining(MODEL);
  const step = (n: number) => {
    const [height, width] = SIZES[n % SIZES.length];
    return training.step(height, width);
  };
  for (let n = 0; n < WARM_UP; n++) await step(n);

  /** What has to be the same after every step. */
  const inventory = () => {
    const { tensors, bytes } = engine.memory();
    const { numDataBuffers } = tf.memory();
    const { compiled } = lazyStatistics()!;
    return {
      tensors,
      bytes,
      numDataBuffers,
      backend: tf.backend().numDataIds(),
      native: nativeTensors(),
      compiled,
    };
  };
  const onHeap = () => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const expected = inventory();
  const start = onHeap();
  const resident: number[] = [];
  for (let n = 0; n < STEPS; n++) {
    await step(WARM_UP + n);
    expect(inventory(), `step ${n}`).toEqual(expected);
    resident.push(engine.memory().rssBytes);
  }
  // A video of every step that stayed on the heap would be 6 MiB at the end.
  expect(onHeap() - start).toBeLessThan(4 * MIB);
  // Garbage comes and goes, so the least of many readings; what is held shows in all of them.
  const third = Math.floor(STEPS / 3);
  const growth = Math.min(...resident.slice(-third)) - Math.min(...resident.slice(0, third));
  expect(growth).toBeLessThan((TEST_DEVICE === 'gpu' ? 32 : 100) * MIB);

  // Every value and every constant of a script has its native tensor: no more, no less.
  const { scripts } = tf.backend() as OnnxBackend;
  expect(scripts.numBuffers).toBeGreaterThan(0);
  expect(expected.native).toBe(expected.backend + scripts.numBuffers);
  training.dispose();
  expect(tf.memory().numTensors).toBe(before);
  scripts.dispose();
  expect(nativeTensors()).toBe(0);
}, 600_000);
