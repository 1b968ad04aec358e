/** @file Says how much memory a run will take before it starts, and what to do if it was not enough. */
import { type Checkpointer, COPY_SHARE } from '../../checkpoint/checkpointer.js';
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { Batch } from '../../data/loading/collate.js';
import type { Engine } from '../../engine/index.js';
import { type MachineMemory, machineMemory } from '../../engine/memory.js';
import { OutOfMemoryError } from '../../errors.js';
import type { Module } from '../../nn/module.js';
import type { Logger } from '../../run/log.js';
import { residentMemory } from '../../util/memory.js';
import { countOf, gib } from '../../util/text.js';
import { announcedLater } from '../announced.js';
import { allocationFailure } from './allocation_failure.js';
import { largestClip } from './clip_size.js';
import { type RunTensors, runTensors } from './dry_run.js';
import { estimateFrom, type MemoryEstimate, type MemoryFacts } from './estimate.js';
import { memoryRemedies, unmeasuredRemedies } from './remedies.js';

export interface MemoryGuardOptions {
  cfg: Config;
  engine: Pick<Engine, 'engine' | 'device' | 'gpu' | 'memory' | 'gpuBudget'>;
  model: Module;
  /** Null if the clips are not known beforehand. */
  data: AvaDataset | null;
  /** Null if the run does not evaluate. */
  testData: AvaDataset | null;
  checkpointer: Checkpointer;
  /** Resident memory of the process before it held weights. */
  processBytes: number;
  /** The processes that share the clips, and how many of them share this machine's memory. */
  processes: { readonly size: number; readonly local: { readonly size: number } };
}

/** The estimate of a run's memory and its input. */
interface Forecast {
  facts: MemoryFacts;
  tensors: RunTensors;
  estimate: MemoryEstimate;
}

/** Watches the memory of one run. */
export class MemoryGuard {
  /** Null on engines whose memory cannot be estimated, and before `announce`. */
  #forecast: Forecast | null = null;
  /** Remedies that the start of the run has found. */
  #found: string | null = null;

  constructor(private readonly options: MemoryGuardOptions) {}

  /**
   * Logs one line about the coming peak; a warning with remedies if there is less memory. No other work may use the
   * engine until it resolves.
   */
  async announce(log: Logger): Promise<void> {
    const { data, engine, processes } = this.options;
    const place = placeOf(engine);
    if (place === null || data === null) return;
    try {
      this.#forecast = await announcedLater(log, 'estimating the memory of a step', () =>
        forecast(this.options, data, place),
      );
    } catch (error) {
      // The run itself can do without an estimate.
      log.warn({ err: error }, `memory: the peak could not be estimated: ${(error as Error).message}`);
      return;
    }
    const { facts, estimate } = this.#forecast;
    const room = this.#room();
    const line =
      place === 'host' ? hostLine(estimate, processes.local.size) : gpuLine(estimate, engine, room);
    const fields = { memory: estimate, processBytes: facts.processBytes };
    if (estimate.peak <= room) log.info(fields, line);
    else {
      this.#found = await this.#remedies(room);
      log.warn(fields, `${line}. This will most likely not fit. ${this.#found}`);
    }
  }

  /** Bytes that the run's tensors can have. */
  #room(): number {
    const { engine, processes } = this.options;
    return engine.device !== 'cpu'
      ? (engine.gpuBudget() ?? Number.POSITIVE_INFINITY)
      : roomHere(processes.local.size).room;
  }

  /**
   * Returns the error to end the run with: an OutOfMemoryError if an allocation failed, else `error` itself. `shape` is that
   * of the last batch.
   */
  async explained(error: unknown, shape: Batch['shape'] | null): Promise<unknown> {
    const failure = allocationFailure(error);
    if (!failure) return error;
    const { rssBytes, gpuBytes } = this.options.engine.memory();
    const { totalBytes, freeBytes } = machineMemory();
    const gpu = gpuBytes === undefined ? '' : `, and ${gib(gpuBytes)} of the GPU's`;
    const sentences = [
      `out of memory: ${failure.what ?? 'memory'} could not be allocated. This process has ${gib(rssBytes)}${gpu}; ` +
        `of ${gib(totalBytes)} here ${gib(freeBytes)} are free`,
      shape && this.#describeBatch(shape),
      this.#lastCheckpoint(),
      this.#found ?? (await this.#remedies(this.#room())),
    ];
    return new OutOfMemoryError(sentences.filter((sentence) => sentence).join('. '), { cause: error });
  }

  /** The last batch, and what the run was expected to take. */
  #describeBatch([clips, frames, height, width]: Batch['shape']): string {
    const estimate = this.#forecast?.estimate;
    const expected = estimate
      ? `; the run was expected to take ${gib(estimate.peak)} (${describe(estimate)})`
      : '';
    return `The batch was ${countOf(clips, 'clip')} of ${frames} frames, ${height}×${width}${expected}`;
  }

  async #remedies(room: number): Promise<string> {
    const { cfg, processes } = this.options;
    const unmeasured = () => unmeasuredRemedies(cfg, processes.size);
    // After a failed allocation there may be no memory for a dry run either.
    const remedies = this.#forecast
      ? await memoryRemedies(cfg, this.#forecast, room).catch(unmeasured)
      : unmeasured();
    return remedies.length > 0 ? `These settings take less:\n  ${remedies.join('\n  ')}` : '';
  }

  /** A failed run leaves no broken checkpoint, because files are replaced as a whole. */
  #lastCheckpoint(): string {
    const path = this.options.checkpointer.latest();
    return path === null ? 'No checkpoint was saved yet' : `The last checkpoint, ${path}, is as it was`;
  }
}

function hostLine(estimate: MemoryEstimate, numProcesses: number): string {
  const { totalBytes, limitedBy, room } = roomHere(numProcesses);
  const limit = limitedBy ? ` (the limit in ${limitedBy})` : '';
  const each = numProcesses > 1 ? ` for each of the ${numProcesses} processes` : '';
  const here = `${limit}${numProcesses * room < 0.9 * totalBytes ? `, ${gib(room)} of them free${each}` : ''}`;
  return (
    `memory: about ${gib(estimate.peak)} at the peak${each} (${describe(estimate)}); ` +
    `${gib(totalBytes)} here${here}`
  );
}

function gpuLine(estimate: MemoryEstimate, { gpu }: Pick<Engine, 'gpu'>, room: number): string {
  const total = gpu?.memoryBytes === undefined ? '' : ` of ${gib(gpu.memoryBytes)}`;
  const free = Number.isFinite(room) ? `, ${gib(room)} of them free` : '';
  return (
    `memory: about ${gib(estimate.peak)}${total} on the GPU at the peak (${describe(estimate)})${free}; ` +
    `about ${gib(estimate.beside)} of main memory`
  );
}

/** Where an engine has its tensors; null if its memory cannot be estimated. */
function placeOf({ engine, device }: Pick<Engine, 'engine' | 'device'>): MemoryFacts['place'] | null {
  if (engine === 'cuda') return 'cuda';
  if (engine !== 'onnx') return null;
  return device === 'gpu' ? 'webgpu' : 'host';
}

/** The machine's memory, and how much of it this process could have, as one of several like it. */
function roomHere(numProcesses: number): MachineMemory & { room: number } {
  const memory = machineMemory();
  const { totalBytes, freeBytes } = memory;
  return {
    ...memory,
    room: Math.min(totalBytes, freeBytes + numProcesses * residentMemory()) / numProcesses,
  };
}

async function forecast(
  options: MemoryGuardOptions,
  data: AvaDataset,
  place: MemoryFacts['place'],
): Promise<Forecast> {
  const { cfg, model, testData, processBytes, processes } = options;
  const { SIZE_DIVISIBILITY: sizeDivisibility, ASPECT_RATIO_GROUPING } = cfg.DATALOADER;
  const clip = (dataset: AvaDataset, scales: readonly number[], clips: number) =>
    largestClip(dataset, { scales, sizeDivisibility, mixed: !ASPECT_RATIO_GROUPING && clips > 1 });
  const frozen = [...model.namedParameters()].filter(([, { requiresGrad }]) => !requiresGrad);
  const facts = {
    frozen: frozen.map(([name]) => name),
    clip: clip(data, cfg.DATA.TRAIN_MIN_SCALES, clipsPerStep(cfg)),
    testClip: testData && clip(testData, cfg.DATA.TEST_MIN_SCALES, cfg.TEST.VIDEOS_PER_BATCH),
    savesBesideTraining: false,
    place,
    processBytes,
    processes: processes.size,
  };
  const tensors = await runTensors(cfg, facts);
  const estimate = estimateFrom(tensors, cfg, facts);
  // The saver makes a copy if there is room for it beside the step.
  const left = roomHere(processes.local.size).room - (place === 'host' ? estimate.peak : estimate.beside);
  if (estimate.weights + estimate.optimizer > COPY_SHARE * left) return { facts, tensors, estimate };
  const saving = { ...facts, savesBesideTraining: true };
  return { facts: saving, tensors, estimate: estimateFrom(tensors, cfg, saving) };
}

/** The parts that matter, in GiB, the largest first. */
function describe({ peak, during, beside, ...parts }: MemoryEstimate): string {
  const named = Object.entries(parts)
    .filter(([, bytes]) => bytes >= 0.01 * peak)
    .sort(([, a], [, b]) => b - a)
    .map(([name, bytes]) => `${name} ${(bytes / 2 ** 30).toFixed(1)}`);
  return `${during === 'evaluation' ? 'in evaluation: ' : ''}${named.join(', ')}`;
}
