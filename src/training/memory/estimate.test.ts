/** @file Tests of the memory estimate: what can be counted exactly, what more of anything does, and measured peaks. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memoryFacts } from '../../../test/support/memory_facts.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import { type Config, loadConfig } from '../../config/index.js';
import { Detector } from '../../model/detector.js';
import { estimateMemory, type MemoryFacts } from './estimate.js';

/** The sample's pictures, 320×240, in batches as they are trained on. */
const SAMPLE = { height: 240, width: 320 };

const factsOf = (cfg: Config, more: Partial<MemoryFacts> = {}) =>
  memoryFacts(cfg, { clip: { height: 64, width: 96 }, processBytes: 5e8, ...more });

const estimate = (changes: Record<string, unknown> = {}, more: Partial<MemoryFacts> = {}) => {
  const cfg = tinyConfig(changes);
  return estimateMemory(cfg, factsOf(cfg, more));
};

describe('estimateMemory', () => {
  it('counts weights, moments and gradients exactly', () => {
    const cfg = tinyConfig();
    const elements = new Detector(cfg).parameters().reduce((sum, { size }) => sum + size, 0);
    const bytes = 4 * elements;
    // So small a clip that the optimizer's update, with all gradients, is the fullest moment.
    const small = { clip: { height: 0, width: 0 } };
    const queries = { 'MODEL.STM.NUM_QUERIES': 1 };
    const fewer = { 'MODEL.STM.DIM_FEEDFORWARD': 4000 };
    const wide = tinyConfig({ ...queries, ...fewer });
    const all = 4 * new Detector(wide).parameters().reduce((sum, { size }) => sum + size, 0);
    const adamw = estimate({ ...queries, ...fewer }, small);
    expect(adamw).toMatchObject({ weights: all, optimizer: 2 * all, gradients: all, activations: 0 });

    expect(estimate()).toMatchObject({ weights: bytes, optimizer: 2 * bytes, during: 'training' });
    expect(estimate({ 'SOLVER.OPTIMIZING_METHOD': 'adam' }).optimizer).toBe(2 * bytes);
    expect(estimate({ 'SOLVER.OPTIMIZING_METHOD': 'sgd' }).optimizer).toBe(bytes);
    expect(estimate({ 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.MOMENTUM': 0 }).optimizer).toBe(0);
    const saving = estimate({}, { savesBesideTraining: true });
    expect(saving.checkpoint).toBe(3 * bytes);
    expect(saving.peak - estimate().peak).toBeCloseTo(3 * bytes, 0);
    // The sum of the gradients so far, beside those of the part that is being computed.
    const accumulating = estimate({ 'SOLVER.ACCUMULATE': 4 });
    expect(accumulating.gradients - estimate().gradients).toBe(bytes);
  });

  it('counts neither gradients nor moments of frozen parameters', () => {
    const cfg = tinyConfig();
    const model = new Detector(cfg);
    for (const parameter of model.backbone.parameters()) parameter.requiresGrad = false;
    const frozen = estimateMemory(cfg, factsOf(cfg, { parameters: [...model.namedParameters()] }));
    const trained = model.parameters().filter(({ requiresGrad }) => requiresGrad);
    expect(frozen.optimizer).toBe(8 * trained.reduce((sum, { size }) => sum + size, 0));
    expect(frozen.weights).toBe(estimate().weights);
    expect(frozen.peak).toBeLessThan(estimate().peak);
  });

  it('has parts that add up to the peak', () => {
    const { peak, during, ...parts } = estimate({}, { savesBesideTraining: true });
    expect(during).toBe('training');
    expect(Object.values(parts).reduce((a, b) => a + b)).toBeCloseTo(peak, 0);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['frames', { 'DATA.NUM_FRAMES': 4 }, { 'DATA.NUM_FRAMES': 8, 'MODEL.STM.TEMPORAL_POINTS': 4 }],
    ['clips', {}, { 'SOLVER.VIDEOS_PER_BATCH': 32 }],
    ['parts of a batch', {}, { 'SOLVER.ACCUMULATE': 2 }],
    ['width', {}, { 'ViT.EMBED_DIM': 16 }],
    ['blocks', {}, { 'ViT.DEPTH': 3 }],
    ['hidden layers', {}, { 'ViT.MLP_RATIO': 4 }],
    ['drop path', {}, { 'ViT.DROP_PATH_RATE': 0.1 }],
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
  ])('grows with %s', (_, less, more) => {
    expect(estimate(more).peak).toBeGreaterThan(estimate(less).peak);
  });

  it('grows with what is outside the configuration', () => {
    const { peak } = estimate();
    expect(estimate({}, { clip: { height: 64, width: 128 } }).peak).toBeGreaterThan(peak);
    expect(estimate({}, { processBytes: 6e8 }).peak - peak).toBeCloseTo(1e8, 0);
  });

  it('tells when evaluation takes more than training', () => {
    const testClip = { height: 512, width: 512 };
    const evaluation = estimate({ 'TEST.VIDEOS_PER_BATCH': 16 }, { testClip });
    expect(evaluation).toMatchObject({ during: 'evaluation', gradients: 0, activations: 0 });
    expect(evaluation.peak).toBeGreaterThan(estimate({ 'TEST.VIDEOS_PER_BATCH': 8 }, { testClip }).peak);
    // Threads that load its clips count as well, so here there are none.
    const few = { 'TEST.VIDEOS_PER_BATCH': 1, 'DATALOADER.NUM_WORKERS': 0 };
    expect(estimate(few, { testClip: { height: 32, width: 32 } }).during).toBe('training');
  });
});

interface Measured {
  name: string;
  config: string;
  overrides: string;
  processBytes: number;
  peakBytes: number;
}

/** Runs of `npm run bench:memory-estimate`; the file says with what. */
const measured = JSON.parse(
  readFileSync(new URL('../../../bench/memory_peaks.json', import.meta.url), 'utf8'),
) as { runs: Measured[] };

describe('beside measured peaks of resident memory', () => {
  it.each(measured.runs)('$name: within 15 %', ({ config, overrides, processBytes, peakBytes }) => {
    const words = overrides.split(' ').filter((word) => word !== '');
    const { config: cfg } = loadConfig(`config_files/${config}.yaml`, words);
    const scale = Math.max(...cfg.DATA.TRAIN_MIN_SCALES) / SAMPLE.height;
    const padded = (extent: number) => 32 * Math.ceil(Math.floor(extent * scale + 0.5) / 32);
    const clip = { height: padded(SAMPLE.height), width: padded(SAMPLE.width) };
    const { peak } = estimateMemory(cfg, factsOf(cfg, { clip, processBytes }));
    expect(peak / peakBytes).toBeGreaterThan(0.85);
    expect(peak / peakBytes).toBeLessThan(1.15);
  });
});
