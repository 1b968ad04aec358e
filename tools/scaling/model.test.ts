/** @file The model of a step by many processes, against cases that can be computed by hand. */
import { describe, expect, it } from 'vitest';
import { type Cluster, expectedMaximum, exposedSeconds, predict, sumSeconds } from './model.js';

/** A machine of eight processes, and more of them in a network: 1 GB of gradients in ten sums. */
const CLUSTER: Cluster = {
  compute: 3,
  backward: 2,
  clips: 2,
  gradientBytes: 1e9,
  sums: 10,
  smallSums: 0,
  perMachine: 8,
  inMachine: { latency: 1e-6, bandwidth: 100e9 },
  network: { latency: 1e-5, bandwidth: 10e9 },
  algorithm: 'ring',
  taken: 0,
  variation: 0,
  loading: 0,
};

describe('a sum', () => {
  it('takes 2 (P − 1) messages in a ring', () => {
    expect(sumSeconds(CLUSTER, 1, 1e9)).toBe(0);
    expect(sumSeconds(CLUSTER, 2, 1e9)).toBeCloseTo(2e-6 + 0.01, 12);
    expect(sumSeconds(CLUSTER, 8, 1e9)).toBeCloseTo(14e-6 + 0.0175, 12);
  });

  it('takes 2 log₂ P messages by halving and doubling', () => {
    expect(sumSeconds({ ...CLUSTER, algorithm: 'halving' }, 8, 0)).toBeCloseTo(6e-6, 12);
    expect(sumSeconds({ ...CLUSTER, algorithm: 'halving' }, 5, 0)).toBeCloseTo(6e-6, 12);
  });

  it('has the latency and bandwidth of the network between machines', () => {
    expect(sumSeconds(CLUSTER, 16, 1e9)).toBeCloseTo(30 * 1e-5 + (0.1 * 30) / 16, 12);
    const fast = { ...CLUSTER, network: { latency: 0, bandwidth: 1e12 } };
    expect(sumSeconds(fast, 16, 1e9)).toBeCloseTo(30 * 1e-6 + (0.01 * 30) / 16, 12);
  });
});

describe('sums during the backward pass', () => {
  const noLatency = { ...CLUSTER, inMachine: { latency: 0, bandwidth: 1e9 } };

  it('leave the last one if they are faster than the gradients', () => {
    // Ten sums of 0.1 s each, one every 0.2 s.
    expect(exposedSeconds(noLatency, 2)).toBeCloseTo(0.1, 9);
  });

  it('end after the first gradient and all sums if they are slower', () => {
    // Ten sums of 0.4 s each from 0.2 s on.
    const slow = { ...noLatency, inMachine: { latency: 0, bandwidth: 0.25e9 } };
    expect(exposedSeconds(slow, 2)).toBeCloseTo(0.2 + 4 - 2, 9);
  });

  it('are not hidden in one sum', () => {
    expect(exposedSeconds({ ...noLatency, sums: 1 }, 2)).toBeCloseTo(1, 9);
  });

  it('take the processor from the computation', () => {
    expect(exposedSeconds({ ...noLatency, taken: 1 }, 2)).toBeCloseTo(1, 9);
    expect(exposedSeconds({ ...noLatency, taken: 0.5 }, 2)).toBeCloseTo(0.1 + 0.45, 9);
  });
});

describe('a step', () => {
  it('is the computation in one process', () => {
    expect(predict(CLUSTER, 1)).toMatchObject({
      step: 3,
      clipsPerSecond: 2 / 3,
      efficiency: 1,
      bound: 'compute',
    });
  });

  it('adds up the costs', () => {
    const cluster = { ...CLUSTER, variation: 0.02, smallSums: 3 };
    const { step, costs, efficiency, clipsPerSecond } = predict(cluster, 64);
    expect(step).toBeCloseTo(3 + costs.bandwidth + costs.latency + costs.waiting, 9);
    expect(costs.waiting).toBeCloseTo(0.06 * expectedMaximum(64), 9);
    expect(costs.latency).toBeGreaterThan(3 * 12 * 1e-5);
    expect(efficiency).toBeCloseTo(3 / step, 9);
    expect(clipsPerSecond).toBeCloseTo(128 / step, 9);
  });

  it('waits for the data if they come more slowly', () => {
    const cluster = { ...CLUSTER, loading: 2 };
    expect(predict(cluster, 8)).toMatchObject({ step: 4, bound: 'loading', efficiency: 1 });
    expect(predict({ ...CLUSTER, loading: 1 }, 8).costs.loading).toBe(0);
  });

  it.each([
    ['bandwidth', { network: { latency: 0, bandwidth: 0.1e9 } }],
    ['latency', { network: { latency: 1e-3, bandwidth: 10e9 } }],
    ['waiting', { variation: 0.2 }],
    ['compute', {}],
  ] as const)('is bound by %s', (bound, change) => {
    expect(predict({ ...CLUSTER, ...change }, 1024).bound).toBe(bound);
  });

  it('never gets more efficient with more processes', () => {
    const cluster = { ...CLUSTER, variation: 0.01, smallSums: 5 };
    const efficiencies = Array.from({ length: 13 }, (_, i) => predict(cluster, 2 ** i).efficiency);
    expect(efficiencies).toEqual(efficiencies.toSorted((a, b) => b - a));
  });
});

it('knows the expected maximum of normal numbers', () => {
  expect(expectedMaximum(1)).toBeCloseTo(0, 6);
  expect(expectedMaximum(2)).toBeCloseTo(1 / Math.sqrt(Math.PI), 4);
  expect(expectedMaximum(3)).toBeCloseTo(1.5 / Math.sqrt(Math.PI), 4);
  // Tables of order statistics: 2.508 for 100.
  expect(expectedMaximum(100)).toBeCloseTo(2.5076, 3);
});
