/** @file Settings with which a run takes less memory, the ones that cost least first, each with what it would then take. */
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import { gib } from '../../util/text.js';
import { estimateMemory, type MemoryFacts } from './estimate.js';

/** Pictures get smaller by this many pixels at a time, the stride of the coarsest map. */
const PIXELS = 32;
/** What saves less than this share is not worth naming. */
const WORTH_IT = 0.01;

/** A change of the configuration, and of the facts that follow from it. */
interface Change {
  words: string;
  cfg: Config;
  facts?: Partial<MemoryFacts>;
}

/**
 * What to set, in words. `room` is what there is, in bytes: of several values the first that fits into it is named. Without `facts`
 * (on an engine whose memory is not known beforehand) no sizes are given; with them nothing that does not help.
 */
export function memoryRemedies(cfg: Config, facts: MemoryFacts | null, room: number): string[] {
  const peakOf = (change: Omit<Change, 'words'>) =>
    facts ? estimateMemory(change.cfg, { ...facts, ...change.facts }).peak : null;
  const now = peakOf({ cfg });
  const remedies: string[] = [];
  for (const changes of [
    checkpointing(cfg),
    smallerTestBatch(cfg),
    smallerParts(cfg),
    smallerPictures(cfg, facts),
    fewerThreads(cfg),
  ]) {
    const measured = changes.map((change) => ({ ...change, peak: peakOf(change) }));
    const chosen = measured.find(({ peak }) => peak !== null && peak <= room) ?? measured.at(-1);
    if (!chosen) continue;
    const { words, peak } = chosen;
    if (peak === null || now === null) remedies.push(words);
    else if (peak <= (1 - WORTH_IT) * now) remedies.push(`${words} (about ${gib(peak)})`);
  }
  return remedies;
}

function checkpointing(cfg: Config): Change[] {
  if (cfg.ViT.USE_CHECKPOINT) return [];
  return [{ words: 'ViT.USE_CHECKPOINT True', cfg: changed(cfg, 'ViT', { USE_CHECKPOINT: true }) }];
}

/** The same clips in more parts, from the fewest on. */
function smallerParts(cfg: Config): Change[] {
  return divisorsBelow(cfg.SOLVER.VIDEOS_PER_BATCH).map((part) => {
    const parts = clipsPerStep(cfg) / part;
    return {
      words: `SOLVER.VIDEOS_PER_BATCH ${part} SOLVER.ACCUMULATE ${parts}, which computes the same`,
      cfg: changed(cfg, 'SOLVER', { VIDEOS_PER_BATCH: part, ACCUMULATE: parts }),
    };
  });
}

function smallerTestBatch(cfg: Config): Change[] {
  return divisorsBelow(cfg.TEST.VIDEOS_PER_BATCH).map((part) => ({
    words: `TEST.VIDEOS_PER_BATCH ${part}`,
    cfg: changed(cfg, 'TEST', { VIDEOS_PER_BATCH: part }),
  }));
}

/** Down to half the size, below which people in the distance are a few pixels. */
function smallerPictures(cfg: Config, facts: MemoryFacts | null): Change[] {
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
      facts: facts ? { clip: { height: shrunk(facts.clip.height), width: shrunk(facts.clip.width) } } : {},
    };
  });
}

function fewerThreads(cfg: Config): Change[] {
  if (cfg.DATALOADER.NUM_WORKERS < 2) return [];
  return [{ words: 'DATALOADER.NUM_WORKERS 1', cfg: changed(cfg, 'DATALOADER', { NUM_WORKERS: 1 }) }];
}

function changed<K extends 'ViT' | 'SOLVER' | 'TEST' | 'DATALOADER'>(
  cfg: Config,
  section: K,
  changes: Partial<Config[K]>,
): Config {
  return { ...cfg, [section]: { ...cfg[section], ...changes } };
}

/** From the largest to 1. */
function divisorsBelow(n: number): number[] {
  return Array.from({ length: n - 1 }, (_, i) => n - 1 - i).filter((part) => n % part === 0);
}
