/** @file The best rates of cards, against NVIDIA's data sheets. */
import { expect, it } from 'vitest';
import { bestRates } from './best_rates.js';

const INFO = {
  name: '',
  uuid: '',
  memoryBytes: 0,
  l2Bytes: 0,
  sharedMemoryPerBlock: 0,
  driverVersion: 13_000,
};

it('are those of the data sheets for an H100 and an A100', () => {
  const h100 = bestRates({
    ...INFO,
    computeCapability: [9, 0],
    multiprocessors: 132,
    smClockKHz: 1_830_000,
    memoryClockKHz: 2_619_000,
    memoryBusBits: 5120,
  });
  expect(h100.bandwidth! / 1e12).toBeCloseTo(3.35, 2);
  expect(h100.bfloat16! / 1e12).toBeCloseTo(989, 0);
  expect(h100.float32! / 1e12).toBeCloseTo(62, 0);
  const a100 = bestRates({
    ...INFO,
    computeCapability: [8, 0],
    multiprocessors: 108,
    smClockKHz: 1_410_000,
    memoryClockKHz: 1_593_000,
    memoryBusBits: 5120,
  });
  expect(a100.bandwidth! / 1e12).toBeCloseTo(2.04, 2);
  expect(a100.tf32! / 1e12).toBeCloseTo(156, 0);
  expect(a100.float32! / 1e12).toBeCloseTo(19.5, 1);
});

it('are not known for cards that came later, and where the driver tells no clocks', () => {
  const rates = bestRates({
    ...INFO,
    computeCapability: [99, 0],
    multiprocessors: 100,
    smClockKHz: 1,
    memoryClockKHz: 0,
    memoryBusBits: 256,
  });
  expect(rates).toEqual({ bandwidth: null, float32: null, tf32: null, bfloat16: null });
});
