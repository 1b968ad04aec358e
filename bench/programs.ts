/** @file The programs that `npm run bench:compare` compares. Each measurement is a process of its own. */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startBusyProcess } from './busy_core.js';
import { type Case, WARMUP } from './cases.js';

/** Programs in the order in which a round runs them. The busy one runs only if asked for. */
export const PROGRAMS = ['stmixer', 'stmixer, one core busy', 'PyTorch, tuned', 'PyTorch, untuned'] as const;
export type Program = (typeof PROGRAMS)[number];

/** The fields of the programs' JSON that the comparison reads. */
export interface StepReport {
  readonly engine: string;
  readonly seconds: readonly number[];
  readonly part_seconds: Readonly<Record<string, number>>;
  readonly peak_bytes: number;
  readonly matmul_gflop_per_second: number;
  readonly parameters: number;
  /** Missing for PyTorch. */
  readonly javascript_seconds?: number | null;
}

/** Where the official code and a Python with torch are. */
export interface Official {
  readonly checkout: string;
  readonly python: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const execute = promisify(execFile);

/** glibc keeps freed memory instead of returning it, grows in large pieces, and asks for huge pages. */
export const TUNED_MALLOC = {
  MALLOC_MMAP_THRESHOLD_: String(2 ** 40),
  MALLOC_TRIM_THRESHOLD_: String(2 ** 40),
  MALLOC_TOP_PAD_: String(2 ** 28),
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

/** Runs the steps of a case in a new process. Throws if the process fails. */
export async function measure(program: Program, what: Case, official: Official): Promise<StepReport> {
  switch (program) {
    case 'stmixer':
      return runOurs(what);
    case 'stmixer, one core busy': {
      const stop = startBusyProcess();
      try {
        return await runOurs(what);
      } finally {
        stop();
      }
    }
    case 'PyTorch, tuned':
      return runOfficial(what, official, TUNED_MALLOC);
    case 'PyTorch, untuned':
      return runOfficial(what, official, {});
  }
}

function runOurs(what: Case): Promise<StepReport> {
  const words = ['--import', 'tsx', 'bench/step.ts', '--json', ...flagsOf(what, WARMUP.ours)];
  return run(process.execPath, [...words, ...what.overrides], {});
}

function runOfficial(
  what: Case,
  { checkout, python }: Official,
  environment: NodeJS.ProcessEnv,
): Promise<StepReport> {
  const threads = ['--threads', String(availableParallelism())];
  const words = ['bench/official_step.py', checkout, ...threads, ...flagsOf(what, WARMUP.pytorch)];
  return run(python, [...words, ...what.overrides], environment);
}

function flagsOf(what: Case, warmup: number): string[] {
  const { batch, height, width, boxes, iters } = what;
  const values = { batch, height, width, boxes, warmup, iters };
  const flags = Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return ['--config-file', what.config, ...flags, ...(what.forward ? ['--forward'] : [])];
}

/** Runs a program whose last line is JSON. */
async function run(
  file: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<StepReport> {
  const env = { ...process.env, ...environment };
  const { stdout } = await execute(file, words, { cwd: root, env, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}
