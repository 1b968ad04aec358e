/** @file The backend on the stand-in: a network whose convolution and attention are plans of cuDNN, and CUDA graphs of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standInLibraries } from '../../../test/cuda_on_cpu/device.js';
import { canBuildCudaOnCpu, loadCudaOnCpu } from '../../../test/cuda_on_cpu/index.js';
import { relativeError } from '../../../test/golden/golden.js';
import { fakeProbe } from '../../../test/support/fake_probe.js';
import { tensorOf, uniform } from '../../../test/support/lowered.js';
import { temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import { selfAttention } from '../../nn/attention.js';
import { conv3d } from '../../nn/conv3d.js';
import { tf } from '../tfjs.js';
import { BACKEND_NAME, type CudaBackend, startBackend } from './start.js';

const BFLOAT16_ERROR = 0.02;
const [B, T, H, W, C] = [2, 3, 9, 10, 8];
const [HEADS, D] = [2, 32];

const X = uniform([B, T, H, W, C], 1);
const WEIGHT = uniform([3 * HEADS * D, C, 3, 3, 3], 2);
const DY = uniform([B, T * H * W, HEADS * D], 3);

/** Attention to all positions of a map, twice, whose projections are a convolution. */
function network(x: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const qkv = conv3d(x, weight, { padding: [1, 1, 1] }).reshape([B, T * H * W, 3 * HEADS * D]);
  return selfAttention(qkv, HEADS, { scale: 0.02 }).add(selfAttention(qkv, HEADS, { scale: 0.01 }));
}

/** The value of the network and its gradients. */
function step([x, weight, dy]: readonly tf.Tensor[]): ArrayLike<number>[] {
  return tf.tidy(() => {
    const { value, grads } = tf.valueAndGrads(network)([x, weight], dy);
    return [value, ...grads].map((tensor) => tensor.dataSync());
  });
}

describe.runIf(canBuildCudaOnCpu())('a network on the stand-in', () => {
  const standIn = canBuildCudaOnCpu() ? loadCudaOnCpu() : null!;
  let backend: CudaBackend;

  beforeAll(async () => {
    const probe = fakeProbe({ env: { XDG_CACHE_HOME: temporaryFolderOfFile() } });
    const libraries = standInLibraries(standIn.folder);
    backend = await startBackend(probe, {
      libraries,
      ordinal: 0,
      precision: 'bfloat16',
      isDeterministic: true,
    });
  });
  afterAll(() => {
    tf.removeBackend(BACKEND_NAME);
    backend?.device.dispose();
    expect(standIn.counters().leakedAllocations).toBe(0);
  });

  it('has the values and gradients of tfjs, also when its steps are CUDA graphs', async () => {
    await tf.setBackend('cpu');
    const expected = step([X, WEIGHT, DY].map(tensorOf));
    await tf.setBackend(BACKEND_NAME);
    const inputs = [X, WEIGHT, DY].map(tensorOf);
    const results = Array.from({ length: 5 }, () => step(inputs));
    for (const [i, values] of results[0].entries())
      expect(relativeError(values, expected[i]), `result ${i}`).toBeLessThan(BFLOAT16_ERROR);
    const { plans, graphLaunches } = standIn.counters();
    expect(graphLaunches).toBeGreaterThan(0);
    // The convolution and its two gradients, attention and its gradient twice. Graphs run those that are not counted.
    const plansOfStep = 7;
    expect(plans).toBeGreaterThanOrEqual(plansOfStep);
    expect(plans).toBeLessThan(plansOfStep * results.length);
    for (const again of results.slice(1)) expect(again).toEqual(results[0]);
    tf.dispose(inputs);
  });
});
