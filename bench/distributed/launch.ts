/** @file Starts the processes of `npm run bench:distributed`, and MPI's own sums from C. */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { MpiLauncher } from '../../tools/mpi/launchers.js';
import type { RawTime } from '../../tools/scaling/measurements.js';
import type {
  AllReduceJob,
  AllReduceTimes,
  DescribeJob,
  Job,
  ModelFacts,
  StepsJob,
  StepTimes,
} from './jobs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const RAW_SOURCE = fileURLToPath(new URL('raw_allreduce.c', import.meta.url));
const execute = promisify(execFile);

/** Debian's names of the C compilers. */
const COMPILERS: Readonly<Record<MpiLauncher['family'], string>> = {
  'Open MPI': 'mpicc.openmpi',
  MPICH: 'mpicc.mpich',
};

/** Processes of one job. */
export interface Processes {
  /** Null starts one process without a launcher. */
  readonly launcher: MpiLauncher | null;
  readonly count: number;
  /** Threads of each process. */
  readonly threads: number;
}

/** Runs a job. Throws Error if a process fails. */
export function runJob(job: DescribeJob, processes: Processes): Promise<ModelFacts>;
export function runJob(job: AllReduceJob, processes: Processes): Promise<AllReduceTimes>;
export function runJob(job: StepsJob, processes: Processes): Promise<StepTimes>;
export async function runJob(job: Job, { launcher, count, threads }: Processes): Promise<unknown> {
  const words = [process.execPath, '--import', 'tsx', 'bench/distributed/process.ts', JSON.stringify(job)];
  const [file, ...rest] = [...launch(launcher, count), ...words];
  const lines = await run(file, rest, { STMIXER_THREADS: String(threads) });
  return JSON.parse(lines.at(-1) as string);
}

export interface RawJob {
  readonly launcher: MpiLauncher;
  readonly count: number;
  /** Bytes that are summed together, and bytes of each call. */
  readonly bytes: number;
  readonly pieceBytes: readonly number[];
  readonly repetitions: number;
  /** Folder for the program. */
  readonly folder: string;
}

/** Times MPI's own sums from C; null without a compiler. Throws Error if the program fails. */
export async function runRaw({ launcher, folder, ...job }: RawJob): Promise<RawTime[] | null> {
  const compiler = COMPILERS[launcher.family];
  const program = join(folder, compiler);
  try {
    execFileSync(compiler, ['-O2', '-o', program, RAW_SOURCE], { stdio: 'ignore' });
  } catch {
    return null;
  }
  const [file, ...words] = [...launch(launcher, job.count), program];
  const numbers = [job.bytes, job.repetitions, ...job.pieceBytes].map(String);
  return (await run(file, [...words, ...numbers], {})).map((line) => JSON.parse(line) as RawTime);
}

function launch(launcher: MpiLauncher | null, count: number): string[] {
  return launcher ? [launcher.program, ...launcher.options, '-np', `${count}`] : [];
}

/** Returns the lines that a program has written. */
async function run(
  file: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<string[]> {
  const env = { ...process.env, ...environment };
  const { stdout } = await execute(file, words, { cwd: root, env, maxBuffer: 2 ** 26 });
  return stdout.trim().split('\n');
}
