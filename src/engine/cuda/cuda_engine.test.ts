/** @file Which GPU the cuda engine takes, and why it takes none, on machines made of facts. */
import { describe, expect, it } from 'vitest';
import {
  DRIVER_FILES,
  type FakeMachine,
  fakeProbe,
  H100 as H100_LINE,
  NVRTC_FILES,
} from '../../../test/support/fake_probe.js';
import { EngineSelector } from '../selection.js';
import type { StartOptions } from '../types.js';
import { CudaEngine } from './cuda_engine.js';
import { type CudaGpu, type CudaSource, chooseCudaGpu } from './gpus.js';
import type { SelfTestResult } from './self_test.js';

const gpu = (ordinal: number, name: string, computeCapability: CudaGpu['computeCapability']): CudaGpu => ({
  ordinal,
  name,
  computeCapability,
  memoryBytes: 2 ** 34,
});
const H100 = gpu(0, 'NVIDIA H100', [9, 0]);
const T4 = gpu(1, 'Tesla T4', [7, 5]);
const P100 = gpu(0, 'Tesla P100', [6, 0]);

interface Facts extends FakeMachine {
  readonly driverVersion?: number;
  readonly gpus?: ReturnType<CudaSource['gpus']>;
  readonly result?: SelfTestResult;
}

function engineOn({ gpus = [H100, T4], driverVersion = 13_000, result, ...machine }: Facts = {}): CudaEngine {
  const files = { ...DRIVER_FILES, ...NVRTC_FILES, ...machine.files };
  return new CudaEngine(fakeProbe({ nvidiaSmi: H100_LINE, ...machine, files: machine.files ?? files }), {
    source: {
      driverVersion: (path) => (path in files ? driverVersion : null),
      gpus: () => gpus,
    },
    selfTest: async () => {
      if (!result) throw new Error('no self-test was expected');
      return result;
    },
  });
}

const problemsOf = (facts: Facts, choice: StartOptions = {}) =>
  engineOn(facts)
    .problems(choice)
    .map(({ what, remedy }) => `${what} (${remedy})`);

describe('the cuda engine', () => {
  it('has no problem with a GPU, the driver and NVRTC', () => {
    expect(problemsOf({})).toEqual([]);
  });

  it.each<[string, Facts, StartOptions, RegExp]>([
    ['without a driver', { files: {} }, {}, /^no NVIDIA driver/],
    ['without NVRTC', { files: DRIVER_FILES }, {}, /^NVRTC.* is not found.*\(run: npm run setup:cuda\)$/],
    [
      'with an old driver',
      { driverVersion: 11_040 },
      {},
      /supports CUDA 11\.4, and CUDA 12 is needed.*driver 525/,
    ],
    ['outside of Linux', { platform: 'win32' }, {}, /^CUDA runs on Linux only/],
    ['if the driver fails', { gpus: { what: 'cuInit failed', remedy: 'r' } }, {}, /^cuInit failed \(r\)$/],
    [
      'if the driver lists no GPU',
      { gpus: [] },
      {},
      /^the NVIDIA driver lists no GPU \(`nvidia-smi` must list/,
    ],
    [
      'if a variable hides all GPUs',
      { gpus: [], env: { CUDA_VISIBLE_DEVICES: '-1' } },
      {},
      /^CUDA_VISIBLE_DEVICES is '-1', which hides every GPU \(unset it/,
    ],
    [
      'with old GPUs alone',
      { gpus: [P100] },
      {},
      /^Tesla P100 has compute capability 6\.0; .* needs 7\.5 or more/,
    ],
    [
      'if there is no GPU of this number',
      {},
      { gpuIndex: 2 },
      /^ENGINE\.GPU_INDEX is 2, but .* are 0 \(NVIDIA H100\), 1/,
    ],
    [
      'if there is no GPU of this name',
      { env: { STMIXER_GPU: 'radeon' } },
      { gpuIndex: 0 },
      /^STMIXER_GPU is 'radeon', but the GPUs of CUDA are 0 \(NVIDIA H100\), 1 \(Tesla T4\)/,
    ],
  ])('says what is wrong %s', (_, facts, choice, problem) => {
    expect(problemsOf(facts, choice)).toEqual([expect.stringMatching(problem)]);
  });

  it('lists the GPUs, and the libraries that would make it faster', () => {
    expect(
      engineOn({ gpus: [P100, { ...T4, ordinal: 1 }] })
        .detail()
        ?.split('\n'),
    ).toEqual([
      '0: Tesla P100, compute capability 6.0, 16.00 GiB (too old)',
      '1: Tesla T4, compute capability 7.5, 16.00 GiB',
      expect.stringMatching(/^cuBLASLt .* is not found.*npm run setup:cuda/),
      expect.stringMatching(/^cuDNN .* is not found.*npm run setup:cuda/),
    ]);
    expect(engineOn({ files: {} }).detail()).toBeUndefined();
  });

  it('is worth a note only on a machine with the driver', () => {
    expect(engineOn().isWorthANote()).toBe(true);
    expect(engineOn({ files: {} }).isWorthANote()).toBe(false);
  });

  it.each<[string, Facts, StartOptions, RegExp]>([
    [
      'whose results are wrong, for auto',
      { result: { failure: 'a softmax of rows has wrong results' } },
      {},
      /^NVIDIA H100 fails the self-test: a softmax/,
    ],
    [
      'other than the one that is named',
      { result: { failure: 'wrong' }, env: { STMIXER_GPU: 't4' } },
      {},
      /^Tesla T4 fails the self-test/,
    ],
    [
      'that is too old, if there is a newer one',
      { result: { failure: 'wrong' }, gpus: [P100, T4] },
      {},
      /^Tesla T4 fails the self-test/,
    ],
    [
      'without tensor cores for the precision',
      {},
      { precision: 'bfloat16', gpuIndex: 1 },
      /^Tesla T4 has no tensor cores for bfloat16: .* 8\.0, and it has 7\.5 \(set ENGINE\.PRECISION float32\)/,
    ],
  ])('does not take a GPU %s', async (_, facts, options, message) => {
    await expect(engineOn(facts).start(options)).rejects.toThrow(message);
  });
});

/** The numbers of the GPUs that the processes of a machine take, or why they take none. */
function taken(facts: Facts, size: number): string[] {
  return Array.from({ length: size }, (_, rank) => {
    const { gpus = [] } = facts;
    const chosen = chooseCudaGpu('what' in gpus ? [] : gpus, { local: { rank, size } }, facts.env ?? {});
    return 'what' in chosen ? `${chosen.what} (${chosen.remedy})` : String(chosen.ordinal);
  });
}

describe('several processes on a machine', () => {
  const four = [0, 1, 2, 3].map((ordinal) => ({ ...H100, ordinal }));

  it('take one GPU each', () => {
    expect(taken({ gpus: four }, 4)).toEqual(['0', '1', '2', '3']);
    expect(taken({ gpus: four }, 2)).toEqual(['0', '1']);
  });

  it('leave out GPUs that are too old', () => {
    expect(taken({ gpus: [P100, { ...H100, ordinal: 1 }, { ...T4, ordinal: 2 }] }, 2)).toEqual(['1', '2']);
  });

  it('take the only one that each of them sees, as Slurm binds them', () => {
    expect(taken({ gpus: [H100], env: { CUDA_VISIBLE_DEVICES: '0' } }, 2)).toEqual(['0', '0']);
  });

  it('must not be more than the GPUs, which ends a run with any engine', async () => {
    const problem =
      '3 processes run on this machine, which has 2 GPUs for them (start 2 per machine: mpirun -np … --map-by ppr:2:node ' +
      '(Open MPI), mpirun -np … -ppn 2 (MPICH), or srun --ntasks-per-node 2)';
    expect(taken({ gpus: [H100, T4] }, 3)).toEqual([problem, problem, problem]);
    expect(taken({ gpus: [H100] }, 2)[0]).toMatch(/^2 processes run on this machine, which has 1 GPU for/);
    const files = { ...DRIVER_FILES, ...NVRTC_FILES };
    const selector = new EngineSelector(fakeProbe({ files, nvidiaSmi: H100_LINE }), {
      cuda: { source: { driverVersion: () => 13_000, gpus: () => [H100, T4] } },
    });
    await expect(selector.select({ local: { rank: 1, size: 3 } })).rejects.toThrow(problem);
  });

  it('take the one that the configuration names', () => {
    expect(problemsOf({}, { gpuIndex: 1, local: { rank: 0, size: 4 } })).toEqual([]);
    expect(problemsOf({ env: { STMIXER_GPU: 't4' } }, { local: { rank: 3, size: 4 } })).toEqual([]);
  });
});
