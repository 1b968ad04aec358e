/** @file Faults of processes on the cuda engine end all of them with the reason. Stand-ins for NVIDIA's libraries; not run on GPUs. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CudaTraining, ncclCallsOf, runTraining, standIns } from '../../support/cuda_training.js';
import { temporaryFolder } from '../../support/temporary_files.js';

const TIMEOUT_MS = 300_000;

interface Fault {
  readonly training: Omit<CudaTraining, 'output' | 'processes'>;
  readonly message: RegExp;
  /** Processes that must have ended NCCL's work. */
  readonly aborts: number;
}

describe.skipIf(standIns === null)('two processes on the cuda engine end', () => {
  it.each<[string, Fault]>([
    [
      'after SOLVER.COLLECTIVE_TIMEOUT if a sum hangs',
      {
        training: { settings: 'SOLVER.COLLECTIVE_TIMEOUT 30', env: { NCCL_ON_CPU_FAULT: 'hang 1 20' } },
        message:
          /waited \d+ s for the others \(sums of gradients on the GPUs\), longer than SOLVER\.COLLECTIVE_TIMEOUT/,
        aborts: 1,
      },
    ],
    [
      'with the error of NCCL in one of them',
      {
        training: { env: { NCCL_ON_CPU_FAULT: 'break 1 20 3' } },
        message: /process 1 on .*: NCCL: ncclCommGetAsyncError failed: internal error/,
        aborts: 2,
      },
    ],
    [
      'if there are fewer GPUs',
      {
        training: { env: { CUDA_ON_CPU_DEVICES: '1' } },
        message: /2 processes run on this machine, which has 1 GPU for them \(start 1 per machine/,
        aborts: 0,
      },
    ],
    [
      'if they are to share a GPU',
      {
        training: { settings: 'ENGINE.GPU_INDEX 0' },
        message: /processes 0 and 1 on .* use the same GPU \(GPU-c0c1.*\): each needs one of its own/,
        aborts: 0,
      },
    ],
  ])(
    '%s',
    async (_, { training, message, aborts }) => {
      const output = join(temporaryFolder(), 'run');
      const { code, stderr } = await runTraining({ ...training, processes: 2, output });
      expect(stderr).toMatch(message);
      expect(code).toBe(1);
      const aborted = ncclCallsOf(output).filter((calls) => calls.at(-1) === 'ncclCommAbort');
      expect(aborted.length).toBeGreaterThanOrEqual(aborts);
    },
    TIMEOUT_MS,
  );
});
