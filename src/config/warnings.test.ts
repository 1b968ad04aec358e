/** @file Tests of the warnings about settings that do not do what they seem to do. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadConfig } from './index.js';

const FILES = fileURLToPath(new URL('../../config_files/', import.meta.url));

/** The warnings of the VideoMAE V2 configuration with some changes. */
function warningsOf(...overrides: string[]): string[] {
  return loadConfig(`${FILES}my_VMAEv2-ViTB-16x4.yaml`, overrides).warnings;
}

describe('warnings', () => {
  it.each(readdirSync(FILES).filter((name) => name.endsWith('.yaml')))('are absent for %s', (name) => {
    expect(loadConfig(`${FILES}${name}`).warnings).toEqual([]);
  });

  it('name the place and the reason', () => {
    expect(warningsOf('DATA.TRAIN_MAX_SCALE', '600')).toEqual([
      'command line: DATA.TRAIN_MAX_SCALE 600: has no effect: the official code does not apply it either',
    ]);
  });

  it.each<[string[], RegExp]>([
    [['RESNET.DEPTH', '101'], /RESNET\.DEPTH 101: has no effect: only ResNets read it, .* is MAE-ViT-B$/],
    [['SLOWFAST.ALPHA', '4'], /SLOWFAST\.ALPHA 4: has no effect: only SlowFast reads it/],
    [['MODEL.BACKBONE.FROZEN_BN', 'True'], /FROZEN_BN True: has no effect: only ResNets read it/],
    [['RESNET.ZERO_INIT_FINAL_BN', 'True'], /has no effect: the official code does not read it/],
    [['DATA.TARGET_FPS', '25'], /DATA\.TARGET_FPS 25: has no effect: .*AVA\.FPS/],
    [['SOLVER.MOMENTUM', '0.8'], /SOLVER\.MOMENTUM 0\.8: .* adamw, only with sgd/],
    [['SOLVER.DAMPENING', '0.1'], /SOLVER\.DAMPENING/],
    [['SOLVER.NESTEROV', 'True'], /SOLVER\.NESTEROV True/],
    [
      ['SOLVER.OPTIMIZING_METHOD', 'sgd', 'SOLVER.BETAS', '(0.9, 0.99)'],
      /SOLVER\.BETAS \[0\.9, 0\.99\]: .* sgd/,
    ],
    [
      ['SOLVER.SCHEDULER', 'half_period_cosine', 'SOLVER.GAMMA', '0.5'],
      /SOLVER\.GAMMA 0\.5: .*half_period_cosine/,
    ],
    [
      ['SOLVER.SCHEDULER', 'half_period_cosine', 'SOLVER.STEPS', '(3,)'],
      /SOLVER\.STEPS \[3\]: has no effect/,
    ],
    [['SOLVER.WARMUP_ON', 'False', 'SOLVER.WARMUP_EPOCH', '3'], /SOLVER\.WARMUP_EPOCH 3: has no effect/],
    [['AVA.TRAIN_PCA_JITTER_ONLY', 'False'], /AVA\.TRAIN_PCA_JITTER_ONLY False: has no effect/],
    [['SOLVER.APPLY_LR_SCALE', 'False'], /SOLVER\.APPLY_LR_SCALE False: has no effect without layer decay/],
    [['MODEL.BACKBONE.CONV_BODY', 'MAE-ViT-L'], /'MAE-ViT-L': the name does not set the sizes/],
    [['DATA.DATASETS', "['ava_v2.2', 'ava_v2.1']"], /only the first one, ava_v2\.2, is used/],
    [['DATA.TEST_MIN_SCALES', '(224, 256)'], /picked at random/],
    [['MODEL.STM.OBJECT_CLASSES', '2'], /boxes of persons only/],
    [['ViT.LAYER_DECAY', '1.5'], /acts like 1/],
    [
      ['SOLVER.MAX_EPOCH', '6'],
      /my_VMAEv2-ViTB-16x4\.yaml:\d+: SOLVER\.STEPS \[5, 8\]: a step is never reached/,
    ],
    [['SOLVER.WARMUP_EPOCH', '12'], /SOLVER\.WARMUP_EPOCH 12: .*SOLVER\.MAX_EPOCH 12/],
  ])('appear for %j', (overrides, warning) => {
    expect(warningsOf(...overrides)).toEqual([expect.stringMatching(warning)]);
  });

  it.each<[string[], RegExp]>([
    [['ViT.DEPTH', '4'], /ViT\.DEPTH 4: has no effect: only a ViT reads it, .* is PySlowfast-R50$/],
    [['RESNET.STRIDE_1X1', 'True'], /STRIDE_1X1 True: has no effect: only SlowOnly reads it/],
  ])('appear for %j with SlowFast', (overrides, warning) => {
    const { warnings } = loadConfig(`${FILES}PySlowfast-R50-K400-8x8.yaml`, overrides);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });

  it.each([
    [['SOLVER.OPTIMIZING_METHOD', 'sgd', 'SOLVER.MOMENTUM', '0.8', 'SOLVER.NESTEROV', 'True']],
    [['SOLVER.SCHEDULER', 'half_period_cosine']],
    [['SOLVER.WARMUP_ON', 'False']],
    [['AVA.TRAIN_PCA_JITTER_ONLY', 'False', 'AVA.TRAIN_USE_COLOR_AUGMENTATION', 'True']],
    [['ViT.LAYER_DECAY', '0.75', 'SOLVER.APPLY_LR_SCALE', 'False']],
    ['MODEL.BACKBONE.CONV_BODY MAE-ViT-L ViT.EMBED_DIM 1024 ViT.DEPTH 24 ViT.NUM_HEADS 16'.split(' ')],
  ])('are absent for %j', (overrides) => {
    expect(warningsOf(...overrides)).toEqual([]);
  });
});
