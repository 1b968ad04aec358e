/** @file Memory in use, for the log. */
import { execFile } from 'node:child_process';
import { totalmem } from 'node:os';
import * as tf from '@tensorflow/tfjs';
import { memoryLimit, type Read } from '../util/cgroups.js';
import { availableMemory, residentMemory } from '../util/memory.js';
import type { EngineInfo } from './types.js';

export interface EngineMemory {
  /** Of the tensors that are alive. */
  bytes: number;
  /** How many are alive. */
  tensors: number;
  /** Of the whole process, in main memory. */
  rssBytes: number;
  /** The highest that `rssBytes` has been. */
  peakBytes: number;
  /** In use on the GPU, all processes together, as of the call before this one. */
  gpuBytes?: number;
}

/** Asks nvidia-smi without making the caller wait: each call returns the latest answer and asks anew. */
class GpuMemory {
  #bytes: number | undefined;
  #isAsking = false;

  latest(): number | undefined {
    if (!this.#isAsking) this.#ask();
    return this.#bytes;
  }

  #ask(): void {
    this.#isAsking = true;
    const gpu = process.env.CUDA_VISIBLE_DEVICES ?? '0';
    const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', `--id=${gpu}`];
    const child = execFile('nvidia-smi', query, { timeout: 20_000 }, (error, stdout) => {
      this.#isAsking = false;
      const mebibytes = Number.parseInt(stdout, 10);
      this.#bytes = error || Number.isNaN(mebibytes) ? undefined : mebibytes * 2 ** 20;
    });
    child.unref();
  }
}

let gpu: GpuMemory | null = null;

/** Follows the engine that was selected last. */
export function watchMemoryOf(info: EngineInfo): void {
  gpu = info.device === 'cuda' ? new GpuMemory() : null;
  gpu?.latest();
}

/** What the current engine and this process use. */
export function engineMemory(): EngineMemory {
  const { numBytes, numTensors } = tf.memory();
  const gpuBytes = gpu?.latest();
  return {
    bytes: numBytes,
    tensors: numTensors,
    rssBytes: residentMemory(),
    peakBytes: process.resourceUsage().maxRSS * 1024,
    ...(gpuBytes === undefined ? {} : { gpuBytes }),
  };
}

/** What this process may use of the machine's main memory. */
export interface MachineMemory {
  /** All there is, or all that the process's control group may have. */
  totalBytes: number;
  /** Of it, what nothing uses now, or only as a cache. */
  freeBytes: number;
  /** Where less than the machine has is allowed: the file that says so, or else words for it. */
  limitedBy: string | null;
}

/** The memory of this machine within the limits of the process's control groups. `read` is for tests. */
export function machineMemory(read?: Read): MachineMemory {
  const limits = [
    // 0, or a number beyond everything, where nothing limits it.
    { value: process.constrainedMemory() || Number.POSITIVE_INFINITY, path: "the process's control group" },
    memoryLimit(read),
  ];
  let totalBytes = totalmem();
  let limitedBy: string | null = null;
  for (const limit of limits) {
    // Of two that say the same the file tells more.
    if (!limit || limit.value > totalBytes || (limit.value === totalBytes && limitedBy === null)) continue;
    totalBytes = limit.value;
    limitedBy = limit.path;
  }
  return { totalBytes, freeBytes: Math.min(availableMemory(read), totalBytes), limitedBy };
}
