/** @file The memory that a run takes at its peak, before anything is allocated. */
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import { loaderBuffers } from '../../data/loading/loader.js';
import { CONTEXT_BYTES } from '../../engine/cuda/device/gpu_memory.js';
import { listBytes } from '../../engine/onnx/memory/arena_regions.js';
import { DTYPE_BYTES } from '../../formats/host_tensor.js';
import type { Size } from '../../media/image_header.js';
import {
  type DryRunOptions,
  type RunTensors,
  runTensors,
  shareOfProcess,
  type TensorBytes,
} from './dry_run.js';

/** Input of the estimate beside the configuration. */
export interface MemoryFacts extends DryRunOptions {
  /** Whether a checkpoint is written while training goes on, from a copy of weights and moments. */
  readonly savesBesideTraining: boolean;
  /** Bytes of the process before the model exists: program, libraries, the engine. */
  readonly processBytes: number;
  /** Where the tensors are: in main memory, or in a GPU's by WebGPU or by CUDA. */
  readonly place: 'host' | 'webgpu' | 'cuda';
}

/** Bytes at the fullest moment, on a GPU those of its memory; the parts add up to `peak`. */
export interface MemoryEstimate extends TensorBytes {
  /** Clips that are loaded or being loaded, and the threads that do it. */
  readonly data: number;
  /** The copy that a checkpoint is written from. */
  readonly checkpoint: number;
  /** Gaps between tensors, which the engine's allocator cannot use, and its lists of blocks. */
  readonly gaps: number;
  /** Program, libraries and compiled graphs; with CUDA, the context on the GPU. */
  readonly process: number;
  readonly peak: number;
  /** The work with the higher peak. */
  readonly during: 'training' | 'evaluation';
  /** Bytes of main memory that a run on a GPU takes beside: data, checkpoint and process, which then are not in `peak`. */
  readonly beside: number;
}

/**
 * Share of the tensors' bytes that ONNX Runtime's arena adds to them. The arena hands out a free block whole unless
 * half of it or more would be left over, and blocks of one step leave gaps between those of the next. Measured over
 * bench/memory_peaks.json: 0.04 to 0.4, 0.24 with the least squared error.
 */
const ARENA_GAPS = 0.24;
/**
 * The same on a GPU: free buffers that are kept, and in the first steps memory that the driver still holds. Measured on a
 * software GPU at 11, 189, 680, 5,273, 6,984 and 10,789 MB of tensors: 38, 425, 1,230, 6,773, 9,035 and 13,520 MB.
 */
const GPU_GAPS = 0.25;
const GPU_BYTES = 350e6;
/** The same with CUDA, where best fit leaves few gaps. This was not measured on a GPU. */
const CUDA_GAPS = 0.1;
/** Growth of JavaScript's heap and of some 40 compiled graphs after the start, measured on the smallest runs. */
const GROWTH_BYTES = 125e6;
/** Memory of a thread that loads clips, measured. */
const THREAD_BYTES = 20e6;

/** Estimates the peak by a dry run. No other work may use the engine until it resolves. */
export async function estimateMemory(cfg: Config, facts: MemoryFacts): Promise<MemoryEstimate> {
  return estimateFrom(await runTensors(cfg, facts), cfg, facts);
}

/** Adds what a run needs beside its tensors. */
export function estimateFrom(
  { training, evaluation }: RunTensors,
  whole: Config,
  facts: MemoryFacts,
): MemoryEstimate {
  const cfg = shareOfProcess(whole, facts.processes);
  const data = dataBytes(cfg, clipsPerStep(cfg), facts.clip);
  const checkpoint = facts.savesBesideTraining ? training.weights + training.optimizer : 0;
  const process = facts.processBytes + GROWTH_BYTES;
  const sum = SUMS[facts.place];
  const trained = sum(training, { data, checkpoint, process }, 'training');
  if (!evaluation || !facts.testClip) return trained;
  const allData = data + dataBytes(cfg, cfg.TEST.VIDEOS_PER_BATCH, facts.testClip);
  const evaluated = sum(evaluation, { data: allData, checkpoint: 0, process }, 'evaluation');
  return evaluated.peak > trained.peak ? evaluated : trained;
}

type Sum = (
  tensors: TensorBytes,
  rest: Pick<MemoryEstimate, 'data' | 'checkpoint' | 'process'>,
  during: MemoryEstimate['during'],
) => MemoryEstimate;

const onHost: Sum = (tensors, rest, during) => {
  // The process has the lists of an arena without tensors.
  const lists = listBytes(total(tensors)) - listBytes(0);
  const parts = { ...tensors, ...rest, gaps: ARENA_GAPS * total(tensors) + lists };
  return { ...parts, peak: total(parts), during, beside: 0 };
};

const onGpu: Sum = (tensors, rest, during) => {
  const gaps = GPU_GAPS * total(tensors) + Math.min(total(tensors), GPU_BYTES);
  const parts = { ...tensors, data: 0, checkpoint: 0, process: 0, gaps };
  return { ...parts, peak: total(parts), during, beside: total(rest) };
};

const withCuda: Sum = (tensors, rest, during) => {
  const gaps = CUDA_GAPS * total(tensors);
  const parts = { ...tensors, data: 0, checkpoint: 0, process: CONTEXT_BYTES, gaps };
  return { ...parts, peak: total(parts), during, beside: total(rest) };
};

const SUMS: Readonly<Record<MemoryFacts['place'], Sum>> = { host: onHost, webgpu: onGpu, cuda: withCuda };

function total(parts: object): number {
  return Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
}

/** Batches in the memory that threads fill in turn, and the 8-bit frames of those that come next. */
function dataBytes({ DATA, DATALOADER }: Config, clips: number, { height, width }: Size): number {
  const { NUM_WORKERS } = DATALOADER;
  const { slots, ahead } = loaderBuffers(NUM_WORKERS, clips);
  const values = clips * DATA.NUM_FRAMES * height * width * 3;
  return (DTYPE_BYTES.float32 * slots + ahead) * values + NUM_WORKERS * THREAD_BYTES;
}
