/** @file A run's memory: what it will take, said at its start, and what to do where it was not enough. */
import type { Checkpointer } from '../../checkpoint/checkpointer.js';
import { COPY_SHARE } from '../../checkpoint/saver.js';
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { Batch } from '../../data/loading/collate.js';
import type { EngineInfo } from '../../engine/index.js';
import { engineMemory, type MachineMemory, machineMemory } from '../../engine/memory.js';
import { CheckpointError, OutOfMemoryError } from '../../errors.js';
import type { Module } from '../../nn/module.js';
import type { Logger } from '../../run/logger.js';
import { residentMemory } from '../../util/memory.js';
import { gib } from '../../util/text.js';
import { allocationFailure } from './allocation_failure.js';
import { largestClip } from './clip_size.js';
import { estimateMemory, type MemoryEstimate, type MemoryFacts } from './estimate.js';
import { memoryRemedies } from './remedies.js';

export interface MemoryGuardOptions {
  cfg: Config;
  engine: Pick<EngineInfo, 'engine' | 'device'>;
  model: Module;
  /** Null if the clips are not known beforehand. */
  data: AvaDataset | null;
  /** Null where the run does not evaluate. */
  testData: AvaDataset | null;
  checkpointer: Checkpointer;
  /** Of the process, before it held weights. */
  processBytes: number;
}

/** Follows one run. */
export class MemoryGuard {
  /** Null on engines whose memory is not known beforehand. */
  readonly #facts: MemoryFacts | null;

  constructor(private readonly options: MemoryGuardOptions) {
    this.#facts =
      options.engine.engine === 'onnx' && options.data !== null ? factsOf(options, options.data) : null;
  }

  /** One line about the peak to come; a warning, with what helps, where there is less. */
  announce(log: Logger): void {
    if (!this.#facts) return;
    const { cfg } = this.options;
    const estimate = estimateMemory(cfg, this.#facts);
    const { totalBytes, limitedBy, room } = roomHere();
    const limit = limitedBy ? ` (the limit in ${limitedBy})` : '';
    const here = `${limit}${room < 0.9 * totalBytes ? `, ${gib(room)} of them free` : ''}`;
    const line = `memory: about ${gib(estimate.peak)} at the peak (${describe(estimate)}); ${gib(totalBytes)} here${here}`;
    if (estimate.peak <= room) log.info({ memory: estimate, processBytes: this.#facts.processBytes }, line);
    else {
      const remedies = memoryRemedies(cfg, this.#facts, room).map((remedy) => `\n  ${remedy}`);
      log.warn(
        { memory: estimate, processBytes: this.#facts.processBytes },
        `${line}. This will most likely not fit. Less take:${remedies.join('')}`,
      );
    }
  }

  /**
   * Returns the error to end the run with: OutOfMemoryError for a failed allocation, others as they are. `shape` is that of the
   * latest batch.
   */
  explained(error: unknown, shape: Batch['shape'] | null): unknown {
    const failure = allocationFailure(error);
    if (!failure) return error;
    const { cfg } = this.options;
    const { rssBytes, gpuBytes } = engineMemory();
    const { totalBytes, room } = roomHere();
    const estimate = this.#facts && estimateMemory(cfg, this.#facts);
    const gpu = gpuBytes === undefined ? '' : `, and ${gib(gpuBytes)} of the GPU's`;
    const [clips, frames, height, width] = shape ?? [];
    const sentences = [
      `out of memory: ${failure.what ?? 'memory'} could not be had. This process has ${gib(rssBytes)}${gpu}; ` +
        `of ${gib(totalBytes)} here ${gib(Math.max(0, room - rssBytes))} are free`,
      shape &&
        `The batch was ${clips} ${clips === 1 ? 'clip' : 'clips'} of ${frames} frames, ${height}×${width}` +
          (estimate ? `; the run was expected to take ${gib(estimate.peak)} (${describe(estimate)})` : ''),
      this.#lastCheckpoint(),
    ];
    const text = sentences.filter((sentence) => sentence).join('. ');
    return new OutOfMemoryError(text + this.#remedies(room), { cause: error });
  }

  #remedies(room: number): string {
    const remedies = memoryRemedies(this.options.cfg, this.#facts, room);
    return remedies.length > 0 ? `. Less take:\n  ${remedies.join('\n  ')}` : '';
  }

  /** Files are replaced as a whole, so the one that is named is whole. */
  #lastCheckpoint(): string {
    try {
      const path = this.options.checkpointer.lastCheckpoint();
      return path === null ? 'No checkpoint was saved yet' : `The last checkpoint, ${path}, is as it was`;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      return error.message;
    }
  }
}

/** What there is in all, and what this process could have of it. */
function roomHere(): MachineMemory & { room: number } {
  const memory = machineMemory();
  return { ...memory, room: Math.min(memory.totalBytes, memory.freeBytes + residentMemory()) };
}

function factsOf(options: MemoryGuardOptions, data: AvaDataset): MemoryFacts {
  const { cfg, model, testData, processBytes } = options;
  const { SIZE_DIVISIBILITY: sizeDivisibility, ASPECT_RATIO_GROUPING } = cfg.DATALOADER;
  const clip = (dataset: AvaDataset, scales: readonly number[], clips: number) =>
    largestClip(dataset, { scales, sizeDivisibility, mixed: !ASPECT_RATIO_GROUPING && clips > 1 });
  const facts = {
    parameters: [...model.namedParameters()],
    clip: clip(data, cfg.DATA.TRAIN_MIN_SCALES, clipsPerStep(cfg)),
    testClip: testData && clip(testData, cfg.DATA.TEST_MIN_SCALES, cfg.TEST.VIDEOS_PER_BATCH),
    savesBesideTraining: false,
    processBytes,
  };
  // A copy is made where there is room for it beside the step.
  const { peak, weights, optimizer } = estimateMemory(cfg, facts);
  const left = roomHere().room - peak;
  return { ...facts, savesBesideTraining: weights + optimizer <= COPY_SHARE * left };
}

/** The parts that matter, in GiB, the largest first. */
function describe({ peak, during, ...parts }: MemoryEstimate): string {
  const named = Object.entries(parts)
    .filter(([, bytes]) => bytes >= 0.01 * peak)
    .sort(([, a], [, b]) => b - a)
    .map(([name, bytes]) => `${name} ${(bytes / 2 ** 30).toFixed(1)}`);
  return `${during === 'evaluation' ? 'in evaluation: ' : ''}${named.join(', ')}`;
}
