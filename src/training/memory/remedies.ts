/** @file Settings with which a run takes less memory, the cheapest first, each with the peak that it would have. */
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import type { Size } from '../../media/image_header.js';
import { gib } from '../../util/text.js';
import { type RunTensors, runTensors } from './dry_run.js';
import { estimateFrom, type MemoryEstimate, type MemoryFacts } from './estimate.js';

/** Step in which images get smaller, in pixels: the stride of the coarsest map. */
const PIXELS = 32;
/** Share of the peak that a change must save to be named. */
const WORTH_IT = 0.01;

/** A change of the configuration, and the facts that it changes. */
interface Change {
  words: string;
  cfg: Config;
  facts?: Partial<MemoryFacts>;
  /** Whether the run's tensors stay as they are. */
  sameTensors?: boolean;
  /** The work that the change makes smaller, if it is one of them alone. */
  during?: MemoryEstimate['during'];
}

/**
 * Settings that may help, in words, for an engine whose memory cannot be estimated. The clips of a batch are divided among
 * `processes` processes.
 */
export function unmeasuredRemedies(cfg: Config, processes = 1): string[] {
  return changesOf(cfg, { clip: null, processes }).map((values) => (values.at(-1) as Change).words);
}

/**
 * Settings that help, in words, each with the peak that the run would have. `tensors` are those of the run as it is
 * configured. `room` is the available memory in bytes: of several values the first that fits is named.
 */
export async function memoryRemedies(
  cfg: Config,
  { facts, tensors }: { readonly facts: MemoryFacts; readonly tensors: RunTensors },
  room: number,
): Promise<string[]> {
  const { peak: now, during } = estimateFrom(tensors, cfg, facts);
  const peakOf = async (change: Change) => {
    const changed = { ...facts, ...change.facts };
    const own = change.sameTensors ? tensors : await runTensors(change.cfg, changed);
    return estimateFrom(own, change.cfg, changed).peak;
  };
  const remedies: string[] = [];
  for (const values of changesOf(cfg, facts)) {
    // A change of the other work leaves the peak where it is.
    if ((values[0].during ?? during) !== during) continue;
    const { words, peak } = await firstThatFits(values, peakOf, room);
    if (peak <= (1 - WORTH_IT) * now) remedies.push(`${words} (about ${gib(peak)})`);
  }
  return remedies;
}

/** Lists of values to try, for each setting that may help. */
function changesOf(
  cfg: Config,
  { clip, processes }: { readonly clip: Size | null; readonly processes: number },
): Change[][] {
  return [
    checkpointing(cfg),
    smallerTestBatch(cfg, processes),
    smallerMicroBatch(cfg, processes),
    smallerImages(cfg, clip),
    fewerThreads(cfg),
  ].filter((values) => values.length > 0);
}

/** The first change with which the run fits into `room`, or else the last one. */
async function firstThatFits(
  changes: readonly Change[],
  peakOf: (change: Change) => Promise<number>,
  room: number,
): Promise<{ words: string; peak: number }> {
  let chosen = { words: '', peak: Number.POSITIVE_INFINITY };
  for (const change of changes) {
    chosen = { words: change.words, peak: await peakOf(change) };
    if (chosen.peak <= room) break;
  }
  return chosen;
}

function checkpointing(cfg: Config): Change[] {
  if (cfg.ViT.USE_CHECKPOINT) return [];
  const cfgWith = changed(cfg, 'ViT', { USE_CHECKPOINT: true });
  return [{ words: 'ViT.USE_CHECKPOINT True', cfg: cfgWith, during: 'training' }];
}

/** More and smaller micro-batches of the same clips, the fewest first. Each can be divided among the processes. */
function smallerMicroBatch(cfg: Config, processes: number): Change[] {
  const sizes = divisorsBelow(cfg.SOLVER.VIDEOS_PER_BATCH).filter((clips) => clips % processes === 0);
  return sizes.map((clips) => {
    const count = clipsPerStep(cfg) / clips;
    return {
      words: `SOLVER.VIDEOS_PER_BATCH ${clips} SOLVER.ACCUMULATE ${count}, which computes the same`,
      cfg: changed(cfg, 'SOLVER', { VIDEOS_PER_BATCH: clips, ACCUMULATE: count }),
      during: 'training',
    };
  });
}

function smallerTestBatch(cfg: Config, processes: number): Change[] {
  const sizes = divisorsBelow(cfg.TEST.VIDEOS_PER_BATCH).filter((clips) => clips % processes === 0);
  return sizes.map((clips) => ({
    words: `TEST.VIDEOS_PER_BATCH ${clips}`,
    cfg: changed(cfg, 'TEST', { VIDEOS_PER_BATCH: clips }),
    during: 'evaluation',
  }));
}

/** Smaller images, down to half the size; below it, distant people are only a few pixels. */
function smallerImages(cfg: Config, clip: Size | null): Change[] {
  const scale = Math.max(...cfg.DATA.TRAIN_MIN_SCALES);
  const sizes: number[] = [];
  for (
    let size = Math.floor((scale - 1) / PIXELS) * PIXELS;
    size >= Math.max(PIXELS, scale / 2);
    size -= PIXELS
  )
    sizes.push(size);
  return sizes.map((size) => {
    const shrunk = (extent: number) => Math.ceil((extent * size) / scale / PIXELS) * PIXELS;
    return {
      words: `DATA.TRAIN_MIN_SCALES with nothing above ${size}`,
      cfg,
      ...(clip && { facts: { clip: { height: shrunk(clip.height), width: shrunk(clip.width) } } }),
    };
  });
}

function fewerThreads(cfg: Config): Change[] {
  if (cfg.DATALOADER.NUM_WORKERS < 2) return [];
  return [
    {
      words: 'DATALOADER.NUM_WORKERS 1',
      cfg: changed(cfg, 'DATALOADER', { NUM_WORKERS: 1 }),
      sameTensors: true,
    },
  ];
}

function changed<K extends 'ViT' | 'SOLVER' | 'TEST' | 'DATALOADER'>(
  cfg: Config,
  section: K,
  changes: Partial<Config[K]>,
): Config {
  return { ...cfg, [section]: { ...cfg[section], ...changes } };
}

/** The divisors of n that are smaller than n, in falling order. */
function divisorsBelow(n: number): number[] {
  return Array.from({ length: n - 1 }, (_, i) => n - 1 - i).filter((divisor) => n % divisor === 0);
}
