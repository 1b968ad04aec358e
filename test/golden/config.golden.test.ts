/** @file The shipped configurations against the official code's resolved ones. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../src/config/index.js';
import { FIELDS, getValue } from '../../src/config/schema/index.js';
import { formatPythonLiteral } from '../../src/formats/python/literals.js';
import { goldenExists, goldenJson } from './golden.js';

type Overrides = Record<string, unknown>;

const FILES = fileURLToPath(new URL('../../config_files/', import.meta.url));
const BASE = `${FILES}my_VMAEv2-ViTB-16x4.yaml`;

/** Differ from machine to machine. */
const PLACES = ['DATA.PATH_TO_DATA_DIR', 'MODEL.WEIGHT'];
/** Not in the official code. */
const EXTRA = [
  'AVA.FPS',
  'AVA.FIRST_SECOND',
  'AVA.LAST_SECOND',
  'AVA.KEY_FRAME_STEP',
  'DATA.MISSING',
  'MODEL.WEIGHT_KEY',
  'DATALOADER.ON_ERROR',
  'SOLVER.MOMENTUM',
  'SOLVER.DAMPENING',
  'SOLVER.NESTEROV',
  'SOLVER.APPLY_LR_SCALE',
  'SOLVER.ACCUMULATE',
  'SOLVER.CLIP_GRAD_NORM',
  'SOLVER.ON_NONFINITE',
  'SOLVER.NONFINITE_LIMIT',
  'SOLVER.CHECKPOINT_KEEP',
  'SOLVER.CHECKPOINT_MINUTES',
  'SOLVER.BUCKET_MB',
  'SOLVER.CHECKPOINT_RETRY',
  'SOLVER.COLLECTIVE_TIMEOUT',
  'SOLVER.LOG_PERIOD',
  'ENGINE.THREADS',
  'ENGINE.GPU_INDEX',
  'ENGINE.REPLAY',
  'ENGINE.PRECISION',
  'ENGINE.DETERMINISTIC',
];

/** The project's own configuration with changes, as if they stood on a command line. */
function resolve(overrides: Overrides): Config {
  const words = Object.entries(overrides).flatMap(([key, value]) => [key, formatPythonLiteral(value)]);
  return loadConfig(BASE, words).config;
}

describe.skipIf(!goldenExists('e2e.json'))('the configuration of e2e.json', () => {
  it('equals that of the official code', () => {
    const { config: official, config_overrides: overrides } = goldenJson('e2e.json');
    const ours = resolve(overrides);
    for (const path of FIELDS.keys()) {
      if (PLACES.includes(path) || EXTRA.includes(path)) continue;
      expect(getValue(ours, path), path).toEqual(getValue(official, path));
    }
  });

  it('has every key that the official one has', () => {
    const paths = (value: unknown, prefix: string): string[] =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).flatMap(([name, item]) => paths(item, prefix ? `${prefix}.${name}` : name))
        : [prefix];
    expect([...paths(goldenJson('e2e.json').config, ''), ...EXTRA].toSorted()).toEqual(
      [...FIELDS.keys()].toSorted(),
    );
  });
});

/** Every `config` in a golden file, with its place. */
function configsIn(value: unknown, place: string): [string, Overrides][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]): [string, Overrides][] =>
    name.startsWith('config') ? [[`${place} ${name}`, item]] : configsIn(item, `${place} ${name}`),
  );
}

const files = ['param_groups.json', 'lr_schedule.json', 'ava_data_expected.json'].filter(goldenExists);
const cases = files.flatMap((file) => configsIn(goldenJson(file), file));

describe.skipIf(cases.length === 0)('the configurations of the other cases', () => {
  it.each(cases)('are valid: %s', (_, overrides) => {
    const config = resolve(overrides);
    for (const [path, value] of Object.entries(overrides))
      expect(getValue(config, path), path).toEqual(value);
  });
});

describe('the shipped configurations', () => {
  it('differ between VideoMAE and VideoMAE V2 only in the weight of the action loss and in file names', () => {
    const [first, second] = [loadConfig(`${FILES}VMAE-ViTB-16x4.yaml`), loadConfig(BASE)];
    const differing = [...FIELDS.keys()].filter(
      (path) =>
        JSON.stringify(getValue(first.config, path)) !== JSON.stringify(getValue(second.config, path)),
    );
    expect(differing).toEqual(['MODEL.WEIGHT', 'MODEL.STM.ACTION_WEIGHT', 'OUTPUT_DIR']);
    expect(first.config.MODEL.STM.ACTION_WEIGHT).toBe(24);
  });

  it('stay under 1 GFLOP per step for tiny', () => {
    // Frames of the sample are 320×240; short side 32 makes 43×32, padded to 64×32.
    const flops = stepFlops(loadConfig(`${FILES}tiny.yaml`).config, 32, 64);
    expect(flops).toBeLessThan(1e9);
    expect(flops).toBeGreaterThan(1e7);
  });
});

/** Multiplications and additions of the matrix products and convolutions in one training step. */
function stepFlops({ DATA, MODEL: { STM }, SOLVER, ViT }: Config, height: number, width: number): number {
  const steps = DATA.NUM_FRAMES / ViT.TUBELET_SIZE;
  const area = (steps * height * width) / ViT.PATCH_SIZE ** 2;
  const dim = ViT.EMBED_DIM;
  const patch = 3 * ViT.TUBELET_SIZE * ViT.PATCH_SIZE ** 2;
  const backbone =
    area * dim * patch + ViT.DEPTH * area * ((4 + 2 * ViT.MLP_RATIO) * dim * dim + 2 * area * dim);
  const hidden = STM.HIDDEN_DIM;
  const neck = [16, 4, 1, 1 / 4].reduce(
    (sum, scale) => sum + area * scale * (27 * hidden * hidden + hidden * dim),
    area * (2 * dim * dim + 2 * dim * dim),
  );
  const group = hidden / STM.N_GROUPS;
  const mixing = [STM.SPATIAL_POINTS, steps].reduce((sum, points) => {
    const out = points * STM.OUT_MULTIPLIER;
    const generated = STM.N_GROUPS * (group * group + points * out);
    return sum + hidden * generated + hidden * points * group + hidden * points * out + hidden * out * hidden;
  }, 0);
  const query = 8 * hidden * hidden + 4 * STM.NUM_QUERIES * hidden + 4 * hidden * STM.DIM_FEEDFORWARD;
  const heads =
    6 * hidden * hidden + 2 * hidden * STM.ACTION_CLASSES + 3 * hidden * STM.N_GROUPS * STM.SPATIAL_POINTS;
  const decoder = STM.NUM_STAGES * STM.NUM_QUERIES * (mixing + query + heads);
  // The backward pass costs twice the forward pass.
  return SOLVER.VIDEOS_PER_BATCH * 3 * 2 * (backbone + neck + decoder);
}
