/** @file Batch statistics on their way from a step to the running statistics. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { disposeState, makeState, noiseBatch } from '../../test/support/noise_batch.js';
import { inProcesses } from '../../test/support/processes.js';
import { TINY_SLOWFAST, TINY_SLOWONLY, tinyConfig } from '../../test/support/tiny_config.js';
import { BatchNorm } from '../nn/batch_norm.js';
import { batchNorms } from '../nn/batch_statistics.js';
import { NonFiniteError } from './nonfinite/nonfinite.js';
import { sumStatistics } from './processes/sum_statistics.js';
import { trainStep } from './step.js';

const CONFIG = tinyConfig(TINY_SLOWFAST);

const countersOf = (state: ReturnType<typeof makeState>) =>
  new Set(batchNorms(state.model).map(({ num_batches_tracked: { data } }) => data[0]));

describe('running statistics', () => {
  it('take in each batch, or each micro-batch', async () => {
    const state = makeState(CONFIG);
    onTestFinished(() => disposeState(state));
    const batch = noiseBatch(CONFIG, [1, 1]);
    await trainStep(state, batch);
    expect(countersOf(state)).toEqual(new Set([1]));
    await trainStep(state, batch, { microBatchSize: 1 });
    expect(countersOf(state)).toEqual(new Set([3]));
    for (const { running_var } of batchNorms(state.model)) expect(running_var.data[0]).not.toBe(1);
  });

  it('stay as they are if a step fails or the norms are frozen', async () => {
    const state = makeState(CONFIG);
    const frozen = makeState(tinyConfig({ ...TINY_SLOWONLY, 'MODEL.BACKBONE.FROZEN_BN': true }));
    onTestFinished(() => {
      disposeState(state);
      disposeState(frozen);
    });
    const batch = noiseBatch(CONFIG, [1]);
    await trainStep(frozen, batch);
    expect(countersOf(frozen)).toEqual(new Set([0]));
    const broken = { ...batch, video: batch.video.map(() => Number.NaN) };
    await expect(trainStep(state, broken)).rejects.toThrow(NonFiniteError);
    expect(countersOf(state)).toEqual(new Set([0]));
  });

  it('of several processes are those of all their values', async () => {
    const values = [
      [1, 5, 2, 8],
      [3, -4, 0, 9, 7, 7],
    ];
    const momentsOf = (numbers: readonly number[]) => {
      const mean = numbers.reduce((a, b) => a + b) / numbers.length;
      const variance = numbers.reduce((a, b) => a + (b - mean) ** 2, 0) / numbers.length;
      return { mean: Float32Array.of(mean), variance: Float32Array.of(variance), count: numbers.length };
    };
    const results = await inProcesses(2, async (communicator) => {
      const norm = new BatchNorm(1);
      const own = values[communicator.rank];
      // Each process has two micro-batches.
      const parts = [own.slice(0, 2), own.slice(2)].map((part) => ({ norm, ...momentsOf(part) }));
      const [{ count, mean, variance }] = await sumStatistics(parts, communicator);
      return { count, mean: mean[0], variance: variance[0] };
    });
    const { mean, variance } = momentsOf(values.flat());
    for (const result of results) {
      expect(result.count).toBe(10);
      expect(result.mean).toBeCloseTo(mean[0], 5);
      expect(result.variance).toBeCloseTo(variance[0], 5);
    }
  });
});
