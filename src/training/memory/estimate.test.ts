/** @file Tests of the memory estimate: what can be counted exactly, what more of anything does, and measured peaks. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memoryFacts } from '../../../test/support/memory_facts.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import { loadConfig } from '../../config/index.js';
import { Detector } from '../../model/detector.js';
import type { Parameter } from '../../nn/module.js';
import { estimateMemory, type MemoryEstimate, type MemoryFacts } from './estimate.js';

/** Size of the sample's images. */
const SAMPLE = { height: 240, width: 320 };

const factsOf = (more: Partial<MemoryFacts> = {}) =>
  memoryFacts({ clip: { height: 64, width: 96 }, processBytes: 5e8, ...more });

const estimates = new Map<string, Promise<MemoryEstimate>>();

/** Estimates each run once. */
function estimate(changes: Record<string, unknown> = {}, more: Partial<MemoryFacts> = {}) {
  const key = JSON.stringify([changes, more]);
  const made = estimates.get(key) ?? estimateMemory(tinyConfig(changes), factsOf(more));
  estimates.set(key, made);
  return made;
}

const bytesOf = (parameters: readonly Parameter[]) => parameters.reduce((sum, { size }) => sum + 4 * size, 0);

describe('estimateMemory', () => {
  it('counts weights, moments and gradients exactly', async () => {
    const bytes = bytesOf(new Detector(tinyConfig()).parameters());
    expect(await estimate()).toMatchObject({ weights: bytes, optimizer: 2 * bytes, during: 'training' });
    expect(await estimate({ 'SOLVER.OPTIMIZING_METHOD': 'adam' })).toMatchObject({ optimizer: 2 * bytes });
    expect(await estimate({ 'SOLVER.OPTIMIZING_METHOD': 'sgd' })).toMatchObject({ optimizer: bytes });
    const plain = { 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.MOMENTUM': 0 };
    expect(await estimate(plain)).toMatchObject({ optimizer: 0 });
    const saving = await estimate({}, { savesBesideTraining: true });
    expect(saving.checkpoint).toBe(3 * bytes);
    expect(saving.peak - (await estimate()).peak).toBeCloseTo(3 * bytes, 0);
  });

  it('is that of the clips that one of several processes computes', async () => {
    const batches = (train: number, test: number) => ({
      'SOLVER.VIDEOS_PER_BATCH': train,
      'TEST.VIDEOS_PER_BATCH': test,
    });
    const evaluated = { testClip: { height: 64, width: 96 } };
    const shared = await estimate(batches(6, 9), { ...evaluated, processes: 3 });
    expect(shared).toEqual(await estimate(batches(2, 3), evaluated));
  });

  it('finds all gradients in memory if the update of the weights is the fullest moment', async () => {
    const wide = { 'MODEL.STM.NUM_QUERIES': 1, 'MODEL.STM.DIM_FEEDFORWARD': 4000 };
    const bytes = bytesOf(new Detector(tinyConfig(wide)).parameters());
    const small = { clip: { height: 32, width: 32 } };
    const { gradients, ...rest } = await estimate(wide, small);
    expect(rest).toMatchObject({ weights: bytes, optimizer: 2 * bytes });
    expect(gradients / bytes).toBeCloseTo(1, 2);
    // Between two micro-batches there is one sum of gradients, not two.
    const accumulating = await estimate({ ...wide, 'SOLVER.ACCUMULATE': 4 }, small);
    expect(accumulating.gradients / bytes).toBeCloseTo(1, 1);
  });

  it('counts neither gradients nor moments of frozen parameters', async () => {
    const model = new Detector(tinyConfig());
    const names = [...model.namedParameters()].map(([name]) => name);
    const frozen = await estimate({}, { frozen: names.filter((name) => name.startsWith('backbone.')) });
    const rest = [...model.namedParameters()].filter(([name]) => !name.startsWith('backbone.'));
    expect(frozen.optimizer).toBe(2 * bytesOf(rest.map(([, parameter]) => parameter)));
    expect(frozen.weights).toBe((await estimate()).weights);
    expect(frozen.peak).toBeLessThan((await estimate()).peak);
  });

  it('has parts that add up to the peak', async () => {
    const { peak, during, ...parts } = await estimate({}, { savesBesideTraining: true });
    expect(during).toBe('training');
    expect(Object.values(parts).reduce((a, b) => a + b)).toBeCloseTo(peak, 0);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['frames', { 'DATA.NUM_FRAMES': 4 }, { 'DATA.NUM_FRAMES': 8, 'MODEL.STM.TEMPORAL_POINTS': 4 }],
    ['clips', {}, { 'SOLVER.VIDEOS_PER_BATCH': 32 }],
    ['micro-batches', {}, { 'SOLVER.ACCUMULATE': 2 }],
    ['width', {}, { 'ViT.EMBED_DIM': 16 }],
    ['blocks', {}, { 'ViT.DEPTH': 3 }],
    ['hidden layers', {}, { 'ViT.MLP_RATIO': 4 }],
    ['dropout', {}, { 'ViT.DROP_RATE': 0.1 }],
    ['dropout of attention', {}, { 'ViT.ATTN_DROP_RATE': 0.1 }],
    ['scales of branches', {}, { 'ViT.INIT_VALUES': 0.1 }],
    ['channels', {}, { 'MODEL.STM.HIDDEN_DIM': 16 }],
    ['queries', {}, { 'MODEL.STM.NUM_QUERIES': 6 }],
    ['stages', {}, { 'MODEL.STM.NUM_STAGES': 3 }],
    ['points', {}, { 'MODEL.STM.SPATIAL_POINTS': 4 }],
    ['threads', { 'DATALOADER.NUM_WORKERS': 0 }, { 'DATALOADER.NUM_WORKERS': 1 }],
    ['momentum', { 'SOLVER.OPTIMIZING_METHOD': 'sgd' }, { 'SOLVER.OPTIMIZING_METHOD': 'adamw' }],
    ['keeping activations', { 'ViT.USE_CHECKPOINT': true, 'ViT.DEPTH': 6 }, { 'ViT.DEPTH': 6 }],
  ])('grows with %s', async (_, less, more) => {
    expect((await estimate(more)).peak).toBeGreaterThan((await estimate(less)).peak);
  });

  it('grows with the clips and with the process', async () => {
    const { peak } = await estimate();
    expect((await estimate({}, { clip: { height: 64, width: 128 } })).peak).toBeGreaterThan(peak);
    expect((await estimate({}, { processBytes: 6e8 })).peak - peak).toBeCloseTo(1e8, 0);
  });

  it('names evaluation if it takes more than training', async () => {
    const testClip = { height: 256, width: 256 };
    const evaluation = await estimate({ 'TEST.VIDEOS_PER_BATCH': 16 }, { testClip });
    expect(evaluation).toMatchObject({ during: 'evaluation' });
    expect(evaluation.peak).toBeGreaterThan(
      (await estimate({ 'TEST.VIDEOS_PER_BATCH': 8 }, { testClip })).peak,
    );
    // Threads that load its clips count as well, so here there are none.
    const few = { 'TEST.VIDEOS_PER_BATCH': 1, 'DATALOADER.NUM_WORKERS': 0 };
    expect(await estimate(few, { testClip: { height: 32, width: 32 } })).toMatchObject({
      during: 'training',
    });
  });
});

interface Measured {
  name: string;
  config: string;
  overrides: string;
  fitted: boolean;
  processBytes: number;
  peakBytes: number;
}

/** Runs of `npm run bench:memory-estimate`; the file says with what. */
const measured = JSON.parse(
  readFileSync(new URL('../../../bench/memory_peaks.json', import.meta.url), 'utf8'),
) as { runs: Measured[] };
/** The runs that the estimate was fitted to say less, so they are left to the long tests. */
const checked = measured.runs.filter(({ fitted }) => !fitted || process.env.STMIXER_LONG_TESTS);

describe('the estimate beside measured peaks of resident memory', () => {
  it.each(checked)('is within 15 %: $name', async ({ config, overrides, processBytes, peakBytes }) => {
    const words = overrides.split(' ').filter((word) => word !== '');
    const { config: cfg } = loadConfig(`config_files/${config}.yaml`, words);
    const scale = Math.max(...cfg.DATA.TRAIN_MIN_SCALES) / SAMPLE.height;
    const padded = (extent: number) => 32 * Math.ceil(Math.floor(extent * scale + 0.5) / 32);
    const clip = { height: padded(SAMPLE.height), width: padded(SAMPLE.width) };
    const facts = factsOf({ clip, processBytes, savesBesideTraining: true });
    const { peak } = await estimateMemory(cfg, facts);
    expect(peak / peakBytes).toBeGreaterThan(0.85);
    expect(peak / peakBytes).toBeLessThan(1.15);
  });
});
