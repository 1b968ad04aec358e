/**
 * @file Several processes train on the cuda engine, with NCCL and without, on stand-ins for NVIDIA's libraries. None of this was run
 * on GPUs.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CudaTraining, ncclCallsOf, runTraining, STEPS, standIns } from '../../support/cuda_training.js';
import { temporaryFolderOfFile } from '../../support/temporary_files.js';
import { expectClose, type Outcome, outcomeOf } from '../../support/training_outcome.js';

const TIMEOUT_MS = 600_000;

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
});

async function train(
  name: string,
  training: Omit<CudaTraining, 'output'>,
): Promise<{ outcome: Outcome; stdout: string }> {
  const { code, stdout, stderr } = await runTraining({ ...training, output: join(home, name) });
  expect(code, stdout + stderr).toBe(0);
  return { outcome: outcomeOf(join(home, name)), stdout };
}

const countOf = (calls: readonly string[], start: string) =>
  calls.filter((call) => call.startsWith(start)).length;

describe.skipIf(standIns === null)('processes on the cuda engine (stand-ins; not run on GPUs)', () => {
  let together: Outcome;

  it(
    'train as one process does, and sum the gradients with NCCL',
    async () => {
      const { outcome: alone } = await train('alone', { processes: 1 });
      const { outcome, stdout } = await train('nccl', { processes: 2 });
      together = outcome;
      expectClose(together, alone);
      expect(stdout).toContain('gradients are summed on the GPUs by NCCL 2.30.7');
      const processes = ncclCallsOf(join(home, 'nccl'));
      const joined = processes.flatMap((calls) => calls.filter((call) => call.includes('InitRank')));
      expect(joined.sort()).toEqual([
        'ncclCommInitRankConfig rank=0 size=2 blocking=0 device=0',
        'ncclCommInitRankConfig rank=1 size=2 blocking=0 device=1',
      ]);
      const [a, b] = processes.map((calls) => calls.filter((call) => !/UniqueId|InitRank/.test(call)));
      expect(a).toEqual(b);
      // Each gradient once in each step.
      expect(countOf(a, 'ncclAllReduce') % STEPS).toBe(0);
      expect(countOf(a, 'ncclAllReduce') / STEPS).toBeGreaterThan(0.9 * alone.weights.size);
      expect(countOf(a, 'ncclGroupStart')).toBeGreaterThan(2 * STEPS);
      expect(a.slice(-2)).toEqual(['ncclCommFinalize', 'ncclCommDestroy']);
    },
    TIMEOUT_MS,
  );

  it(
    'give the same bits in another order of streams, threads and blocks',
    async () => {
      const env = { CUDA_ON_CPU_SEED: '7', CUDA_ON_CPU_QUEUE: '100000' };
      expect((await train('seed', { processes: 2, env })).outcome).toEqual(together);
    },
    TIMEOUT_MS,
  );

  it(
    'give the same bits without NCCL, with a warning',
    async () => {
      const { outcome, stdout } = await train('host', { processes: 2, env: { STMIXER_NCCL: '0' } });
      expect(outcome).toEqual(together);
      expect(stdout.match(/summed through the memory of the host.*STMIXER_NCCL is 0/g)).toHaveLength(1);
      expect(ncclCallsOf(join(home, 'host'))).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
