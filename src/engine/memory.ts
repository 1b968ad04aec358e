/** @file Memory of the tensors, the process, the GPU and the machine. */
import { execFile } from 'node:child_process';
import { totalmem } from 'node:os';
import { memoryLimit, type Read } from '../util/cgroups.js';
import { availableMemory, residentMemory } from '../util/memory.js';
import { tf } from './tfjs.js';

export interface EngineMemory {
  /** Bytes of the tensors that are alive. */
  bytes: number;
  /** Number of tensors that are alive. */
  tensors: number;
  /** Main memory of the whole process. */
  rssBytes: number;
  /** Maximum of `rssBytes` since the start of the process. */
  peakBytes: number;
  /** Memory in use on the GPU: by this process, or, with TensorFlow, by all processes as of the call before this one. */
  gpuBytes?: number;
}

/** Asks nvidia-smi without blocking: each call returns the latest answer and asks again. */
export class NvidiaMemory {
  #bytes: number | undefined;
  #isAsking = false;

  /** `gpu` is an index or UUID. */
  constructor(private readonly gpu: string) {}

  latest(): number | undefined {
    if (!this.#isAsking) this.#ask();
    return this.#bytes;
  }

  #ask(): void {
    this.#isAsking = true;
    const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', `--id=${this.gpu}`];
    const child = execFile('nvidia-smi', query, { timeout: 20_000 }, (error, stdout) => {
      this.#isAsking = false;
      const mebibytes = Number.parseInt(stdout, 10);
      this.#bytes = error || Number.isNaN(mebibytes) ? undefined : mebibytes * 2 ** 20;
    });
    child.unref();
  }
}

/** Memory of the current engine's tensors and of this process. */
export function tensorAndProcessMemory(): EngineMemory {
  const { numBytes, numTensors } = tf.memory();
  return {
    bytes: numBytes,
    tensors: numTensors,
    rssBytes: residentMemory(),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** Main memory that this process may use. */
export interface MachineMemory {
  /** Memory of the machine, or the limit of the process's control group. */
  totalBytes: number;
  /** The part of it that is free or used only as a cache. */
  freeBytes: number;
  /** The file with the limit, or a description of it; null if there is no limit below the machine's memory. */
  limitedBy: string | null;
}

/** Memory of this machine within the limits of the process's control groups. `read` is for tests. */
export function machineMemory(read?: Read): MachineMemory {
  const limits = [
    // Without a limit, Node reports 0 or a huge number.
    { value: process.constrainedMemory() || Number.POSITIVE_INFINITY, path: "the process's control group" },
    memoryLimit(read),
  ];
  let totalBytes = totalmem();
  let limitedBy: string | null = null;
  for (const limit of limits) {
    // Of two equal limits, the one with a file is reported.
    if (!limit || limit.value > totalBytes || (limit.value === totalBytes && limitedBy === null)) continue;
    totalBytes = limit.value;
    limitedBy = limit.path;
  }
  return { totalBytes, freeBytes: Math.min(availableMemory(read), totalBytes), limitedBy };
}
