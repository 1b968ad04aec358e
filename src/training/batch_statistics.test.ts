/** @file Batch statistics on their way from a step to the running statistics. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { relativeError } from '../../test/golden/golden.js';
import { TEST_ENGINE } from '../../test/support/engine.js';
import { contents, disposeState, makeState, noiseBatch } from '../../test/support/noise_batch.js';
import { twin } from '../../test/support/processes.js';
import { TINY_SLOWFAST, TINY_SLOWONLY, tinyConfig } from '../../test/support/tiny_config.js';
import type { Batch } from '../data/loading/collate.js';
import { GradientSum } from '../distributed/gradient_sum.js';
import { HostReducer } from '../distributed/host_reducer.js';
import { tf } from '../engine/tfjs.js';
import { batchNorms } from '../nn/batch_statistics.js';
import { NonFiniteError } from './nonfinite/nonfinite.js';
import { computeGradients, type GradientOptions, trainStep } from './step.js';
import type { TrainingState } from './training_state.js';

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
});

/** Options of a process whose twin computes the same. */
function withTwin({ model }: TrainingState): GradientOptions {
  const communicator = twin();
  const trained = model.parameters().filter(({ requiresGrad }) => requiresGrad);
  const lengths = trained.map(({ size }) => size);
  const sum = new GradientSum({ reducer: new HostReducer(communicator), lengths, bucketBytes: 1e6 });
  return { processes: { communicator, forNorms: communicator, sum } };
}

describe('the norms of two processes', () => {
  const halfOf = (batch: Batch): Batch => ({
    ...batch,
    whole: { boxCounts: Int32Array.of(1, 2, 1, 2), places: [0, 1] },
  });

  it('normalise with the clips of both, like one process that has them all', async () => {
    const [one, alone] = [makeState(CONFIG), makeState(CONFIG)];
    onTestFinished(() => {
      disposeState(one);
      disposeState(alone);
    });
    const batch = noiseBatch(CONFIG, [1, 2]);
    const found = await computeGradients(one, halfOf(batch), withTwin(one));
    const expected = await computeGradients(alone, twice(batch));
    expect(found.total).toBeCloseTo(expected.total, 4);
    expect(found.statistics).toHaveLength(expected.statistics.length);
    for (const [i, { mean, variance, count }] of expected.statistics.entries()) {
      expect(found.statistics[i].count).toBe(count);
      expect(relativeError(found.statistics[i].mean, mean)).toBeLessThan(2e-5);
      expect(relativeError(found.statistics[i].variance, variance)).toBeLessThan(2e-5);
    }
    const gradients = new Map(
      Array.from(alone.model.namedParameters(), ([name, { grad }]) => [name, grad?.dataSync() ?? []]),
    );
    const largest = Math.max(...Array.from(gradients.values(), lengthOf));
    for (const [name, { grad }] of one.model.namedParameters()) {
      const wanted = gradients.get(name)!;
      // What is left of a sum that should be zero is rounding.
      if (grad && lengthOf(wanted) > 1e-4 * largest)
        expect(relativeError(grad.dataSync(), wanted), name).toBeLessThan(1e-3);
    }
  });

  it('have the bits of recorded steps when steps are replayed', async () => {
    const [recorded, replayed] = [makeState(CONFIG), makeState(CONFIG)];
    onTestFinished(() => {
      disposeState(recorded);
      disposeState(replayed);
    });
    let blocked = 0;
    const tensors: number[] = [];
    for (let seed = 0; seed < 5; seed++) {
      const batch = halfOf(noiseBatch(CONFIG, [1, 2], seed));
      await trainStep(recorded, batch, { ...withTwin(recorded), replay: false });
      const options = withTwin(replayed);
      const exchange = vi.spyOn(options.processes!.forNorms, 'allReduceNow');
      await trainStep(replayed, batch, { ...options, replay: true });
      blocked = exchange.mock.calls.length;
      tensors.push(tf.memory().numTensors);
    }
    // Only a recording needs the results of others at once.
    if (['onnx', 'cuda'].includes(TEST_ENGINE)) expect(blocked).toBe(0);
    expect(tensors.slice(1)).toEqual(tensors.slice(1).fill(tensors[1]));
    expect(countersOf(replayed)).toEqual(new Set([5]));
    expect(contents(replayed)).toEqual(contents(recorded));
  });
});

const lengthOf = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));

function floatsTwice(numbers: Float32Array): Float32Array {
  const both = new Float32Array(2 * numbers.length);
  both.set(numbers);
  both.set(numbers, numbers.length);
  return both;
}

/** A batch with each of its clips twice. */
function twice(batch: Batch): Batch {
  return {
    ...batch,
    video: floatsTwice(batch.video),
    shape: [2 * batch.shape[0], ...batch.shape.slice(1)] as unknown as Batch['shape'],
    whwh: floatsTwice(batch.whwh),
    boxes: [...batch.boxes, ...batch.boxes],
    labels: [...batch.labels, ...batch.labels],
    clips: [...batch.clips, ...batch.clips],
  };
}
