/** @file Tests of what is suggested where memory is short. */
import { describe, expect, it, vi } from 'vitest';
import { memoryFacts } from '../../../test/support/memory_facts.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import type { Config } from '../../config/index.js';
import { runTensors } from './dry_run.js';
import { estimateMemory, type MemoryFacts } from './estimate.js';
import { memoryRemedies, unmeasuredRemedies } from './remedies.js';

// Each test makes several dry runs.
vi.setConfig({ testTimeout: 240_000 });

const LARGE = {
  'ViT.EMBED_DIM': 64,
  'ViT.DEPTH': 4,
  'SOLVER.VIDEOS_PER_BATCH': 2,
  'DATA.TRAIN_MIN_SCALES': [32, 64],
  'DATALOADER.NUM_WORKERS': 4,
};

const factsOf = (more: Partial<MemoryFacts> = {}) =>
  memoryFacts({ clip: { height: 128, width: 160 }, processBytes: 0, ...more });

const remediesOf = async (cfg: Config, facts: MemoryFacts, room: number) =>
  memoryRemedies(cfg, { facts, tensors: await runTensors(cfg, facts) }, room);

describe('memoryRemedies', () => {
  it('names settings from the cheapest on, each with what it would take', async () => {
    const cfg = tinyConfig(LARGE);
    const facts = factsOf();
    const remedies = await remediesOf(cfg, facts, 0);
    expect(remedies.map((remedy) => remedy.replace(/\d+\.\d\d/, '#'))).toEqual([
      'ViT.USE_CHECKPOINT True (about # GiB)',
      'SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 2, which computes the same (about # GiB)',
      'DATA.TRAIN_MIN_SCALES with nothing above 32 (about # GiB)',
      'DATALOADER.NUM_WORKERS 1 (about # GiB)',
    ]);
    const checkpointed = tinyConfig({ ...LARGE, 'ViT.USE_CHECKPOINT': true });
    const { peak } = await estimateMemory(checkpointed, facts);
    expect(remedies[0]).toContain(`(about ${(peak / 2 ** 30).toFixed(2)} GiB)`);
    expect(unmeasuredRemedies(checkpointed)).not.toContain('ViT.USE_CHECKPOINT True');
  });

  it('changes no more than what is needed to fit', async () => {
    const cfg = tinyConfig({ ...LARGE, 'SOLVER.VIDEOS_PER_BATCH': 4 });
    const facts = factsOf();
    const halved = { ...LARGE, 'SOLVER.VIDEOS_PER_BATCH': 2, 'SOLVER.ACCUMULATE': 2 };
    const { peak } = await estimateMemory(tinyConfig(halved), facts);
    const accumulation = async (room: number) =>
      (await remediesOf(cfg, facts, room)).find((remedy) => /ACCUMULATE/.test(remedy));
    expect(await accumulation(peak)).toMatch(/VIDEOS_PER_BATCH 2 SOLVER\.ACCUMULATE 2,/);
    expect(await accumulation(peak - 1)).toMatch(/VIDEOS_PER_BATCH 1 SOLVER\.ACCUMULATE 4,/);
  });

  it('suggests batches that can be divided among the processes', async () => {
    const cfg = tinyConfig({ ...LARGE, 'SOLVER.VIDEOS_PER_BATCH': 8 });
    const remedies = (await remediesOf(cfg, factsOf({ processes: 2 }), 0)).join('\n');
    expect(remedies).toMatch(/SOLVER\.VIDEOS_PER_BATCH 2 SOLVER\.ACCUMULATE 4,/);
    expect(unmeasuredRemedies(cfg, 8).join('\n')).not.toMatch(/SOLVER\.VIDEOS_PER_BATCH/);
  });

  it('leaves out what does not help', async () => {
    const cfg = tinyConfig({ ...LARGE, 'TEST.VIDEOS_PER_BATCH': 16 });
    const facts = factsOf({ testClip: { height: 256, width: 512 } });
    expect(await estimateMemory(cfg, facts)).toMatchObject({ during: 'evaluation' });
    const remedies = (await remediesOf(cfg, facts, 0)).join('\n');
    expect(remedies).toMatch(/^TEST\.VIDEOS_PER_BATCH 1 /);
    expect(remedies).not.toMatch(/CHECKPOINT/);
    const least = tinyConfig({
      'SOLVER.VIDEOS_PER_BATCH': 1,
      'ViT.USE_CHECKPOINT': true,
      'DATA.TRAIN_MIN_SCALES': [32],
      'DATALOADER.NUM_WORKERS': 0,
    });
    expect(await remediesOf(least, factsOf(), 0)).toEqual([]);
  });
});

describe('unmeasuredRemedies', () => {
  it('multiplies the micro-batches of a batch that has some already', () => {
    const cfg = tinyConfig({ ...LARGE, 'SOLVER.VIDEOS_PER_BATCH': 2, 'SOLVER.ACCUMULATE': 4 });
    expect(unmeasuredRemedies(cfg)).toContain(
      'SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 8, which computes the same',
    );
  });

  it('names settings without sizes', () => {
    expect(unmeasuredRemedies(tinyConfig({ ...LARGE, 'TEST.VIDEOS_PER_BATCH': 1 }))).toEqual([
      'ViT.USE_CHECKPOINT True',
      'SOLVER.VIDEOS_PER_BATCH 1 SOLVER.ACCUMULATE 2, which computes the same',
      'DATA.TRAIN_MIN_SCALES with nothing above 32',
      'DATALOADER.NUM_WORKERS 1',
    ]);
  });
});
