/** @file Tests of what is suggested where memory is short. */
import { describe, expect, it } from 'vitest';
import { memoryFacts } from '../../../test/support/memory_facts.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import type { Config } from '../../config/index.js';
import { estimateMemory, type MemoryFacts } from './estimate.js';
import { memoryRemedies } from './remedies.js';

const LARGE = {
  'ViT.EMBED_DIM': 64,
  'ViT.DEPTH': 12,
  'SOLVER.VIDEOS_PER_BATCH': 8,
  'DATA.TRAIN_MIN_SCALES': [256, 320],
  'DATALOADER.NUM_WORKERS': 4,
};

const factsOf = (cfg: Config, more: Partial<MemoryFacts> = {}) =>
  memoryFacts(cfg, { clip: { height: 320, width: 448 }, processBytes: 1e9, ...more });

describe('memoryRemedies', () => {
  it('names settings from the cheapest on, each with what it would take', () => {
    const cfg = tinyConfig(LARGE);
    const facts = factsOf(cfg);
    const remedies = memoryRemedies(cfg, facts, 0);
    expect(remedies.map((remedy) => remedy.replace(/\d+\.\d\d/, '#'))).toEqual([
      'ViT.USE_CHECKPOINT True (about # GiB)',
      'SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 8, which computes the same (about # GiB)',
      'DATA.TRAIN_MIN_SCALES with nothing above 160 (about # GiB)',
      'DATALOADER.NUM_WORKERS 1 (about # GiB)',
    ]);
    const checkpointed = tinyConfig({ ...LARGE, 'ViT.USE_CHECKPOINT': true });
    const { peak } = estimateMemory(checkpointed, facts);
    expect(remedies[0]).toContain(`(about ${(peak / 2 ** 30).toFixed(2)} GiB)`);
    expect(memoryRemedies(checkpointed, facts, 0)[0]).toMatch(/^SOLVER/);
  });

  it('changes no more than what is needed to fit', () => {
    const cfg = tinyConfig(LARGE);
    const facts = factsOf(cfg);
    const parts = (clips: number, accumulate: number) => {
      const changes = { 'SOLVER.VIDEOS_PER_BATCH': clips, 'SOLVER.ACCUMULATE': accumulate };
      return estimateMemory(tinyConfig({ ...LARGE, ...changes }), facts).peak;
    };
    const fits = (room: number) =>
      memoryRemedies(cfg, facts, room).find((remedy) => /ACCUMULATE/.test(remedy));
    expect(fits(parts(4, 2))).toMatch(/VIDEOS_PER_BATCH 4 SOLVER\.ACCUMULATE 2,/);
    expect(fits(parts(4, 2) - 1)).toMatch(/VIDEOS_PER_BATCH 2 SOLVER\.ACCUMULATE 4,/);
  });

  it('multiplies the parts of a batch that has some already', () => {
    const cfg = tinyConfig({ ...LARGE, 'SOLVER.VIDEOS_PER_BATCH': 2, 'SOLVER.ACCUMULATE': 4 });
    expect(memoryRemedies(cfg, factsOf(cfg), 0).join()).toContain(
      'SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 8',
    );
  });

  it('leaves out what does not help', () => {
    const cfg = tinyConfig({ ...LARGE, 'TEST.VIDEOS_PER_BATCH': 64 });
    const facts = factsOf(cfg, { testClip: { height: 512, width: 1024 } });
    expect(estimateMemory(cfg, facts).during).toBe('evaluation');
    const remedies = memoryRemedies(cfg, facts, 0).join('\n');
    expect(remedies).toMatch(/^TEST\.VIDEOS_PER_BATCH 1 /);
    expect(remedies).not.toMatch(/CHECKPOINT/);
    const least = tinyConfig({
      'SOLVER.VIDEOS_PER_BATCH': 1,
      'ViT.USE_CHECKPOINT': true,
      'DATA.TRAIN_MIN_SCALES': [32],
      'DATALOADER.NUM_WORKERS': 0,
    });
    expect(memoryRemedies(least, factsOf(least), 0)).toEqual([]);
  });

  it('gives no sizes where none are known', () => {
    const remedies = memoryRemedies(tinyConfig({ ...LARGE, 'TEST.VIDEOS_PER_BATCH': 1 }), null, 0);
    expect(remedies).toEqual([
      'ViT.USE_CHECKPOINT True',
      'SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 8, which computes the same',
      'DATA.TRAIN_MIN_SCALES with nothing above 160',
      'DATALOADER.NUM_WORKERS 1',
    ]);
  });
});
