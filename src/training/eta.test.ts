/** @file The estimated time to the end of a run. */
import { expect, it } from 'vitest';
import { EtaEstimator } from './eta.js';

it('the estimate is not known after the first step, which includes compilation', () => {
  expect(new EtaEstimator().afterStep(40, 9)).toBeNaN();
});

it('the estimate is zero after the last step, even if it is the first', () => {
  expect(new EtaEstimator().afterStep(40, 0)).toBe(0);
});

it('the estimate ignores the first step and steps that compiled something', () => {
  const eta = new EtaEstimator();
  eta.afterStep(40, 9);
  expect(eta.afterStep(2, 8)).toBe(16);
  expect(eta.afterStep(30, 7)).toBe(14);
  expect(eta.afterStep(4, 6)).toBe(18);
});

it('the estimate is of the latest fifty steps', () => {
  const eta = new EtaEstimator();
  for (let i = 0; i < 100; i++) eta.afterStep(1, 100);
  for (let i = 0; i < 49; i++) eta.afterStep(2, 100);
  expect(eta.afterStep(2, 10)).toBe(20);
});

it('the estimate includes the evaluations that are left once one was timed', () => {
  const eta = new EtaEstimator();
  eta.afterStep(9, 9);
  expect(eta.afterStep(1, 8, 3)).toBe(8);
  eta.afterEvaluation(100);
  expect(eta.afterStep(1, 7, 3)).toBe(307);
  expect(eta.afterStep(1, 0, 1)).toBe(100);
});

it('the estimate takes the time of an evaluation from the run so far', () => {
  const eta = new EtaEstimator(60);
  eta.afterStep(9, 9, 2);
  expect(eta.afterStep(1, 8, 2)).toBe(128);
});
