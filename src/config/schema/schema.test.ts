/** @file Tests of the schema: it is complete and described, and its defaults are valid and official. */
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { ConfigSchema, defaultConfig, FIELDS, getValue, OWN_KEYWORDS, SECTIONS } from './index.js';

const ajv = new Ajv().addVocabulary(OWN_KEYWORDS);

describe('schema', () => {
  it.each([...FIELDS])('gives %s a description and a valid default', (path, schema) => {
    expect(schema.description).toMatch(/^[A-Z0-9].{4,}\.$/s);
    expect(schema).toHaveProperty('default');
    expect(ajv.validate(schema, schema.default), path).toBe(true);
  });

  it.each([...SECTIONS])('gives the section %s a description and no unknown keys', (_, schema) => {
    expect(schema.description).toMatch(/^[A-Z].{4,}\.$/);
    expect(schema.additionalProperties).toBe(false);
  });

  it('has exactly the official keys and twenty-six more', () => {
    expect(Object.keys(ConfigSchema.properties)).toEqual(
      'DATA AVA KINETICS AK DATALOADER MODEL RESNET NONLOCAL SLOWFAST ViT SOLVER ENGINE TEST OUTPUT_DIR'.split(
        ' ',
      ),
    );
    // The values of all others are compared with the official configuration in test/golden/config.golden.test.ts.
    expect(FIELDS.size).toBe(183);
    expect(defaultConfig()).toMatchObject({
      DATA: { MISSING: 'stop' },
      AVA: { FPS: 30, FIRST_SECOND: 900, LAST_SECOND: 1798, KEY_FRAME_STEP: 1 },
      SOLVER: {
        MOMENTUM: 0.9,
        DAMPENING: 0,
        NESTEROV: false,
        APPLY_LR_SCALE: true,
        CHECKPOINT_MINUTES: 30,
        LOG_PERIOD: 10,
        ACCUMULATE: 1,
        CLIP_GRAD_NORM: 0,
        ON_NONFINITE: 'stop',
        NONFINITE_LIMIT: 10,
        BUCKET_MB: 25,
        COLLECTIVE_TIMEOUT: 1800,
      },
      DATALOADER: { ON_ERROR: 'stop' },
      ENGINE: { THREADS: 0, GPU_INDEX: -1, REPLAY: true, PRECISION: 'float32', DETERMINISTIC: true },
    });
  });

  it('has the official defaults of the keys that the shipped configurations change', () => {
    expect(defaultConfig()).toMatchObject({
      DATA: { PATH_TO_DATA_DIR: '', NUM_FRAMES: 4, SAMPLING_RATE: 16 },
      MODEL: {
        WEIGHT: '',
        BACKBONE: { CONV_BODY: 'Slowfast-Resnet50' },
        STM: {
          NUM_QUERIES: 100,
          HIDDEN_DIM: 256,
          NUM_STAGES: 6,
          ACTION_CLASSES: 80,
          NUM_HEADS: 8,
          DIM_FEEDFORWARD: 2048,
          SPATIAL_POINTS: 32,
          TEMPORAL_POINTS: 4,
          OUT_MULTIPLIER: 4,
          N_GROUPS: 4,
          ACTION_WEIGHT: 24,
          PERSON_THRESHOLD: 0.6,
        },
      },
      ViT: {
        EMBED_DIM: 768,
        PRETRAIN_IMG_SIZE: 224,
        PATCH_SIZE: 16,
        DROP_PATH_RATE: 0.2,
        DEPTH: 12,
        NUM_HEADS: 12,
        QK_SCALE: null,
        USE_CHECKPOINT: true,
        LAYER_DECAY: 0.75,
        WEIGHT_DECAY: 0.05,
        NO_WEIGHT_DECAY: ['pos_embed'],
      },
      SOLVER: {
        ITER_PER_EPOCH: 11524,
        BASE_LR: 0.0002,
        EVAL_AFTER: 2,
        VIDEOS_PER_BATCH: 16,
        OPTIMIZING_METHOD: 'adamw',
      },
      OUTPUT_DIR: '.',
    });
  });

  it('returns new defaults every time', () => {
    const first = defaultConfig();
    first.SOLVER.STEPS.push(11);
    first.ViT.DEPTH = 1;
    expect(getValue(defaultConfig(), 'SOLVER.STEPS')).toEqual([5, 8]);
    expect(defaultConfig().ViT.DEPTH).toBe(12);
  });
});
