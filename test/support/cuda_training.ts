/** @file Training by several processes on the cuda engine, on stand-ins for NVIDIA's libraries. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canBuildCudaOnCpu, cudaOnCpuFolder } from '../cuda_on_cpu/index.js';
import { type Finished, start } from './cli.js';
import { launchers, startMpiRun } from './mpi.js';
import { MICRO } from './tiny_config.js';

const LAUNCHER = fileURLToPath(new URL('launcher.js', import.meta.url));
/** Five steps of two micro-batches, of which the last ones run from scripts; many buckets; clipping that has an effect. */
const SETTINGS =
  'SOLVER.ITER_PER_EPOCH 5 SOLVER.MAX_EPOCH 1 SOLVER.VIDEOS_PER_BATCH 2 SOLVER.ACCUMULATE 2 SOLVER.BUCKET_MB 0.01 ' +
  'SOLVER.CLIP_GRAD_NORM 2';
export const STEPS = 5;

/** The folder of the stand-ins; null where they cannot run. */
export const standIns = canBuildCudaOnCpu() && launchers.length > 0 ? cudaOnCpuFolder() : null;

export interface CudaTraining {
  readonly processes: number;
  /** OUTPUT_DIR. */
  readonly output: string;
  readonly settings?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Trains a tiny model. The machine has two GPUs, and the stand-in orders blocks, threads and streams at random. */
export async function runTraining({
  processes,
  output,
  settings = '',
  env = {},
}: CudaTraining): Promise<Finished> {
  const args = [
    ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', 'cuda'],
    ...['--skip-val-in-train', '--skip-final-test'],
    ...`${MICRO} ${SETTINGS} ${settings}`.trim().split(/ +/),
    ...['OUTPUT_DIR', output],
  ];
  const variables = {
    STMIXER_CUDA_PATH: standIns ?? '',
    XDG_CACHE_HOME: join(standIns ?? '', 'cache'),
    CUDA_ON_CPU_DEVICES: '2',
    CUDA_ON_CPU_SEED: '1',
    NCCL_ON_CPU_FOLDER: dirname(output),
    NCCL_ON_CPU_LOG: `${output}.nccl`,
    ...env,
  };
  if (processes === 1) return await start(args, variables).finished;
  return await startMpiRun(launchers[0], processes, [LAUNCHER, ...args], variables).finished;
}

/** The calls of NCCL that each process of a training has made. */
export function ncclCallsOf(output: string): string[][] {
  const files = readdirSync(dirname(output)).filter((name) => name.startsWith(`${basename(output)}.nccl.`));
  return files.map((name) =>
    readFileSync(join(dirname(output), name), 'utf8')
      .trim()
      .split('\n'),
  );
}
