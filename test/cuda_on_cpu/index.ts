/** @file Builds the stand-in for NVIDIA's libraries that runs CUDA kernels on the CPU, and looks inside it. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadLibrary } from '../../src/util/native/load_library.js';

const SOURCES = fileURLToPath(new URL('.', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/cuda_on_cpu/', import.meta.url));
const LIBRARY = 'libcuda_on_cpu.so';
/** One library under the names of all that it stands in for, so that they share their state. */
const NAMES = [
  'libcuda.so.1',
  'libnvrtc.so.13',
  'libnvrtc-builtins.so.13.0',
  'libcublasLt.so.13',
  'libcudnn.so.9',
  'libcudnn_graph.so.9',
  'libnccl.so.2',
];
/** What the kernels' sources include. */
const KERNEL_HEADERS = ['cuda_on_cpu.h', 'kernel_interface.h'];
const FLAGS = [
  '-std=c++17',
  '-O1',
  '-march=native',
  '-fPIC',
  '-shared',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
];
const SANITIZER_FLAGS = [
  '-g',
  '-fsanitize=address,undefined',
  '-fno-sanitize=vptr',
  '-fno-sanitize-recover=all',
];

/** Whether the library and the kernels are built with sanitizers, for long tests. */
export const isSanitized = process.env.CUDA_ON_CPU_SANITIZE === '1';

/** Whether the stand-in can be built here: on Linux with g++. */
export function canBuildCudaOnCpu(): boolean {
  return process.platform === 'linux' && spawnSync('g++', ['--version']).status === 0;
}

/**
 * The folder with the stand-in, for STMIXER_CUDA_PATH. Builds it at first, which takes some seconds; later calls, and other
 * processes, take it from node_modules/.cache. Throws Error with the compiler's messages.
 */
export function cudaOnCpuFolder(): string {
  const files = readdirSync(SOURCES).filter((name) => /\.(cpp|h)$/.test(name));
  const flags = isSanitized ? [...FLAGS, ...SANITIZER_FLAGS] : FLAGS;
  const folder = join(CACHE, hashOf(files, flags));
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(join(CACHE, '.building-'));
  try {
    build(
      temporary,
      files.filter((name) => name.endsWith('.cpp')),
      flags,
    );
    renameIfFirst(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return folder;
}

function hashOf(files: readonly string[], flags: readonly string[]): string {
  const hash = createHash('sha256').update(flags.join(' ')).update(processorOf());
  for (const name of files) hash.update(name).update(readFileSync(join(SOURCES, name)));
  return hash.digest('hex').slice(0, 16);
}

/** The instruction sets, since the library is compiled for them. */
function processorOf(): string {
  const lines = readFileSync('/proc/cpuinfo', 'utf8').split('\n');
  return lines.find((line) => /^(flags|Features)/.test(line)) ?? '';
}

/** Compiles all files as one, so that the standard headers are read once. */
function build(folder: string, files: readonly string[], flags: readonly string[]): void {
  const together = join(folder, 'all.cpp');
  writeFileSync(together, files.map((name) => `#include "${join(SOURCES, name)}"\n`).join(''));
  const { LD_PRELOAD: _, ...env } = process.env;
  const { status, stderr, error } = spawnSync(
    'g++',
    [...flags, `-I${SOURCES}`, '-o', join(folder, LIBRARY), together, '-ldl', '-pthread'],
    { encoding: 'utf8', env },
  );
  if (status !== 0) throw new Error(`g++ cannot build the stand-in for CUDA: ${stderr || error?.message}`);
  for (const name of KERNEL_HEADERS) copyFileSync(join(SOURCES, name), join(folder, name));
  for (const name of NAMES) symlinkSync(LIBRARY, join(folder, name));
}

/** Another process may have built the same meanwhile, and use it. */
function renameIfFirst(temporary: string, folder: string): void {
  try {
    renameSync(temporary, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** Variables for a process that loads the stand-in with sanitizers, which must come before all other libraries. */
export function sanitizerEnvironment(): Record<string, string> {
  if (!isSanitized) return {};
  const { stdout } = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  return {
    LD_PRELOAD: realpathSync(stdout.trim()),
    ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0',
  };
}

/** Since the start, `reset` or `resetCounters`. Bytes are those of cuMemAlloc. */
export interface Counters {
  /** Calls of all functions. */
  readonly calls: number;
  /** Kernels launched outside of graphs. */
  readonly launches: number;
  readonly graphLaunches: number;
  /** Kernels launched by graphs. */
  readonly launchesInGraphs: number;
  /** Matrix products outside of graphs. */
  readonly products: number;
  /** Plans of cuDNN outside of graphs. */
  readonly plans: number;
  readonly copies: number;
  readonly memsets: number;
  /** Of the context, streams and events, not queries. */
  readonly synchronizations: number;
  /** Runs of g++. */
  readonly compilations: number;
  readonly modulesLoaded: number;
  readonly allocations: number;
  readonly frees: number;
  readonly bytesInUse: number;
  readonly peakBytes: number;
  /** Allocations that were live when the last context ended. */
  readonly leakedAllocations: number;
}

export interface Allocation {
  readonly address: number;
  readonly bytes: number;
}

/** What tests see and change of the stand-in. It is loaded once in a process, whoever loads it. */
export interface CudaOnCpu {
  readonly folder: string;
  counters(): Counters;
  resetCounters(): void;
  /** Calls of a C function since the counters were reset. */
  callsOf(functionName: string): number;
  liveAllocations(): Allocation[];
  /** The function and what was wrong with its call, for the last call that was refused; empty if there was none. */
  lastProblem(): string;
  /** Lets the n-th call from now on of a C function return `code` and do nothing else; 1 is the next call, 0 none. */
  fail(functionName: string, n: number, code: number): void;
  /** Reads CUDA_ON_CPU_MEMORY, CUDA_ON_CPU_QUEUE, CUDA_ON_CPU_SEED and the like again. */
  readSettings(): void;
  /** The calls of NCCL since the start or `reset`, without questions. */
  ncclCalls(): string[];
  /** Lets all communicators of NCCL in this process fail with a code. */
  breakNccl(code: number): void;
  /** As if the library were loaded anew: frees and forgets everything, and reads the environment again. */
  reset(): void;
}

/** Builds and loads the stand-in. */
export function loadCudaOnCpu(): CudaOnCpu {
  const folder = cudaOnCpuFolder();
  const library = loadLibrary(join(folder, NAMES[0]));
  const counters = library.func('str cudaOnCpuCounters()');
  const allocations = library.func('str cudaOnCpuLiveAllocations()');
  const ncclCalls = library.func('str ncclOnCpuCalls()');
  const callsOf = library.func('uint64_t cudaOnCpuCalls(str name)');
  return {
    folder,
    counters: () => JSON.parse(counters()),
    resetCounters: library.func('void cudaOnCpuResetCounters()'),
    callsOf: (functionName) => Number(callsOf(functionName)),
    liveAllocations: () => JSON.parse(allocations()),
    lastProblem: library.func('str cudaOnCpuLastProblem()'),
    fail: library.func('void cudaOnCpuFail(str name, uint64_t n, int code)'),
    readSettings: library.func('void cudaOnCpuReadSettings()'),
    ncclCalls: () => ncclCalls().split('\n').filter(Boolean),
    breakNccl: library.func('void ncclOnCpuBreak(int code)'),
    reset: library.func('void cudaOnCpuReset()'),
  };
}
