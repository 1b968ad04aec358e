/** @file Figures of a cluster from measurements, flags and assumptions. */
import { expect, it } from 'vitest';
import { clusterOf, completeFigures, measuredFigures } from './figures.js';
import type { FamilyMeasurement, StepSummary } from './measurements.js';
import { predict, sumSeconds } from './model.js';

const SUMMARY: StepSummary = {
  steps: 3,
  step: 2,
  fastest: 1.9,
  processor: 2,
  backward: null,
  exposed: null,
  waiting: null,
};
const FAMILY: FamilyMeasurement = {
  family: 'MPICH',
  description: '',
  sums: [
    { bucketMiB: 1, calls: 200, seconds: 0.9 },
    { bucketMiB: 25, calls: 100, seconds: 0.5 },
  ],
  latency: 20e-6,
  raw: null,
  training: {
    processes: 2,
    threads: 1,
    clips: 4,
    peakBytes: 1e9,
    variants: {
      none: SUMMARY,
      during: { ...SUMMARY, step: 2.5, backward: 1.25, exposed: 0.1, waiting: 0.2 },
    },
  },
};
const CASE = { gradientBytes: 1e9, bucketMiB: 25 };

it('gives the measured sums back', () => {
  const { figures } = completeFigures({}, measuredFigures(2, CASE, FAMILY));
  const cluster = clusterOf(figures);
  expect(100 * sumSeconds(cluster, 2, 1e7)).toBeCloseTo(0.5, 9);
  expect(cluster).toMatchObject({ compute: 1.9, backward: 1.25, clips: 2, sums: 100, perMachine: 2 });
});

it('predicts one process of mean speed, and two with the slower one and the sums', () => {
  const { figures } = completeFigures({}, measuredFigures(2, CASE, FAMILY));
  expect(predict(clusterOf(figures), 1).step).toBeCloseTo(1.9, 9);
  // Two small messages for each of the four sums of few numbers.
  expect(predict(clusterOf(figures), 2).step).toBeCloseTo(2 + 0.5 + 4 * 20e-6, 4);
});

it('prefers what is given to what is measured, and that to assumptions', () => {
  const { figures, origins } = completeFigures({ clips: 8 }, { compute: 3, clips: 2 });
  expect(figures).toMatchObject({ clips: 8, compute: 3, backward: 2, perMachine: 8 });
  expect(origins).toMatchObject({
    clips: 'given',
    compute: 'measured',
    backward: 'assumed',
    perMachine: 'assumed',
  });
});

it('needs the time of the computation', () => {
  expect(() => completeFigures({}, {})).toThrow('the time of the computation is missing');
  expect(measuredFigures(2, CASE, { ...FAMILY, training: null })).toEqual({});
});
