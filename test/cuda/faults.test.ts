/** @file Calls of NVIDIA's libraries that fail in a training step: a clear error, and the engine can be used as before. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { EngineError, OutOfMemoryError } from '../../src/errors.js';
import { smallTraining, startWith, steps, WARM_UP } from './training.js';

const MIB = 2 ** 20;
// Little, so that memory is asked for in small pieces.
const MEMORY = 64 * MIB;

const { standIn, backend } = await startWith({ CUDA_ON_CPU_MEMORY: String(MEMORY) });
const { region } = backend.device;

/** Losses of the steps of a new model until graphs are launched; `prepare` is called before the first one. */
async function train(prepare = () => {}): Promise<number[][]> {
  const training = smallTraining();
  prepare();
  try {
    return await steps(training, WARM_UP);
  } finally {
    training.dispose();
  }
}

let expected: number[][];
let blocks: number;

beforeAll(async () => {
  expected = await train();
  // Constants of scripts stay until they are disposed of.
  backend.scripts.dispose();
  blocks = region.blocks;
});

/** Gives everything back that can be given back, so that it is asked for again. */
function forget(): void {
  backend.scripts.dispose();
  region.trim();
}

async function expectFailure(error: RegExp, prepare: () => void): Promise<void> {
  const failure: unknown = await train(prepare).then(
    () => null,
    (reason) => reason,
  );
  expect(failure).toBeInstanceOf(EngineError);
  expect((failure as Error).message).toMatch(error);
  forget();
  expect(region.blocks).toBe(blocks);
  expect(await train()).toEqual(expected);
  forget();
  expect(region.blocks).toBe(blocks);
}

describe('a call that fails in a training step', () => {
  it.each([
    ['cuMemAlloc_v2', 999, /cuMemAlloc failed: .*CUDA_ERROR_UNKNOWN/],
    ['cuLaunchKernel', 701, /cuLaunchKernel for .+ failed: .*CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES/],
    ['cuGraphLaunch', 719, /cuGraphLaunch for .+ failed: .*CUDA_ERROR_LAUNCH_FAILED/],
    ['cublasLtMatmul', 13, /cublasLtMatmul for .+ failed: .*CUBLAS_STATUS_EXECUTION_FAILED/],
    ['cuMemcpyHtoDAsync_v2', 700, /cuMemcpyHtoDAsync failed: .*CUDA_ERROR_ILLEGAL_ADDRESS/],
    ['cuMemcpyDtoHAsync_v2', 700, /cuMemcpyDtoHAsync failed: .*CUDA_ERROR_ILLEGAL_ADDRESS/],
  ] as const)('is told: %s', async (name, code, message) => {
    onTestFinished(() => standIn.fail(name, 0, 0));
    // The first run may still launch one by one what later ones launch as graphs.
    for (let i = 0; i < 2; i++) {
      forget();
      await train(() => standIn.resetCounters());
    }
    const calls = standIn.callsOf(name);
    expect(calls).toBeGreaterThan(0);
    for (const n of new Set([1, Math.ceil(calls / 4)])) {
      forget();
      await expectFailure(message, () => standIn.fail(name, n, code));
    }
  });
});

describe('too little memory', () => {
  it('ends a step with advice, and later steps with more memory are as before', async () => {
    onTestFinished(() => {
      process.env.CUDA_ON_CPU_MEMORY = String(MEMORY);
      standIn.readSettings();
    });
    forget();
    const start = standIn.counters().bytesInUse;
    standIn.resetCounters();
    await train();
    const { peakBytes } = standIn.counters();
    for (const part of [0.2, 0.5, 0.8]) {
      forget();
      process.env.CUDA_ON_CPU_MEMORY = String(Math.floor(start + part * (peakBytes - start)));
      standIn.readSettings();
      const failure: unknown = await train().then(
        () => null,
        (reason) => reason,
      );
      expect(failure).toBeInstanceOf(OutOfMemoryError);
      expect((failure as Error).message).toMatch(
        /the GPU has too little memory: .+ were asked for\. .*Use smaller/,
      );
      forget();
      expect(region.blocks).toBe(blocks);
    }
    process.env.CUDA_ON_CPU_MEMORY = String(MEMORY);
    standIn.readSettings();
    expect(await train()).toEqual(expected);
  });

  it('is no failure if memory that is no longer used makes room', async () => {
    forget();
    standIn.fail('cuMemAlloc_v2', 1, 2);
    expect(await train()).toEqual(expected);
  });
});
