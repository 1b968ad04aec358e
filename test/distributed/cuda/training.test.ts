/**
 * @file Several processes train on the cuda engine, with NCCL and without, on stand-ins for NVIDIA's libraries. None of this was run
 * on GPUs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { canBuildCudaOnCpu, cudaOnCpuFolder } from '../../cuda_on_cpu/index.js';
import { type Finished, start } from '../../support/cli.js';
import { launchers, startMpiRun } from '../../support/mpi.js';
import { temporaryFolderOfFile } from '../../support/temporary_files.js';
import { MICRO } from '../../support/tiny_config.js';
import { expectClose, type Outcome, outcomeOf } from '../../support/training_outcome.js';

const LAUNCHER = fileURLToPath(new URL('../../support/launcher.js', import.meta.url));
/** Eight steps of two micro-batches, of which the last ones run from scripts; many buckets; clipping that has an effect. */
const SETTINGS =
  'SOLVER.ITER_PER_EPOCH 8 SOLVER.MAX_EPOCH 1 SOLVER.VIDEOS_PER_BATCH 2 SOLVER.ACCUMULATE 2 SOLVER.BUCKET_MB 0.01 ' +
  'SOLVER.CLIP_GRAD_NORM 2';

const folder = canBuildCudaOnCpu() ? cudaOnCpuFolder() : '';
const TIMEOUT_MS = 600_000;

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
});

interface Training {
  readonly processes: number;
  readonly output: string;
  readonly settings?: string;
  readonly env?: NodeJS.ProcessEnv;
}

async function run({ processes, output, settings = '', env = {} }: Training): Promise<Finished> {
  const args = [
    ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', 'cuda'],
    ...['--skip-val-in-train', '--skip-final-test'],
    ...`${MICRO} ${SETTINGS} ${settings}`.trim().split(/ +/),
    ...['OUTPUT_DIR', join(home, output)],
  ];
  const variables = {
    STMIXER_CUDA_PATH: folder,
    XDG_CACHE_HOME: join(folder, 'cache'),
    CUDA_ON_CPU_DEVICES: '2',
    CUDA_ON_CPU_SEED: '1',
    NCCL_ON_CPU_FOLDER: home,
    NCCL_ON_CPU_LOG: join(home, `${output}.nccl`),
    ...env,
  };
  if (processes === 1) return await start(args, variables).finished;
  return await startMpiRun(launchers[0], processes, [LAUNCHER, ...args], variables).finished;
}

async function train(training: Training): Promise<{ outcome: Outcome; stdout: string }> {
  const { code, stdout, stderr } = await run(training);
  expect(code, stdout + stderr).toBe(0);
  return { outcome: outcomeOf(join(home, training.output)), stdout };
}

/** The calls of NCCL in each process. */
function callsOf(output: string): string[][] {
  const files = readdirSync(home).filter((name) => name.startsWith(`${output}.nccl.`));
  return files.map((name) => readFileSync(join(home, name), 'utf8').trim().split('\n'));
}

describe.skipIf(launchers.length === 0 || folder === '')('processes on the cuda engine (a stand-in)', () => {
  let alone: Outcome;
  let together: Outcome;

  beforeAll(async () => {
    alone = (await train({ processes: 1, output: 'alone' })).outcome;
  }, TIMEOUT_MS);

  it(
    'train as one process does, and sum the gradients with NCCL',
    async () => {
      const { outcome, stdout } = await train({ processes: 2, output: 'nccl' });
      together = outcome;
      expectClose(together, alone);
      expect(stdout).toContain('gradients are summed on the GPUs by NCCL 2.30.7');
      const [a, b] = callsOf('nccl').map((calls) => calls.filter((call) => !/UniqueId|InitRank/.test(call)));
      expect(a).toEqual(b);
      const groups = a.filter((call) => call === 'ncclGroupStart').length;
      expect(groups).toBeGreaterThan(2 * 8);
      const sums = a.filter((call) => call.startsWith('ncclAllReduce')).length;
      expect(sums).toBe(8 * alone.weights.size);
      expect(a.slice(-2)).toEqual(['ncclCommFinalize', 'ncclCommDestroy']);
      const devices = callsOf('nccl').flatMap(
        (calls) => calls.join().match(/rank=\d size=2 blocking=0 device=\d/) ?? [],
      );
      expect(devices.sort()).toEqual([
        'rank=0 size=2 blocking=0 device=0',
        'rank=1 size=2 blocking=0 device=1',
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    'give the same bits in any order of streams and threads that CUDA allows',
    async () => {
      const env = { CUDA_ON_CPU_SEED: '7', CUDA_ON_CPU_QUEUE: '100000' };
      expect((await train({ processes: 2, output: 'seed', env })).outcome).toEqual(together);
    },
    TIMEOUT_MS,
  );

  it(
    'give the same bits without NCCL, with a warning',
    async () => {
      const { outcome, stdout } = await train({ processes: 2, output: 'host', env: { STMIXER_NCCL: '0' } });
      expect(outcome).toEqual(together);
      expect(stdout.match(/summed through the memory of the host.*STMIXER_NCCL is 0/g)).toHaveLength(1);
      expect(callsOf('host')).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'refuse to share a GPU',
    async () => {
      const { code, stderr } = await run({ processes: 2, output: 'few', env: { CUDA_ON_CPU_DEVICES: '1' } });
      expect(stderr).toMatch(
        /2 processes run on this machine, which has 1 GPU for them \(start 1 per machine/,
      );
      expect(code).toBe(1);
      const shared = await run({ processes: 2, output: 'shared', settings: 'ENGINE.GPU_INDEX 0' });
      expect(shared.stderr).toMatch(
        /processes 0 and 1 on .* use the same GPU \(GPU-c0c1.*\): each needs one of its own/,
      );
      expect(shared.code).toBe(1);
    },
    TIMEOUT_MS,
  );
});
