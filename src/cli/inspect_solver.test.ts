import { describe, expect, it } from 'vitest';
import { bareParameter, fakeModel, solverConfig } from '../../test/support/solver_fixtures.js';
import { inspectLrSchedule, inspectParamGroups } from './inspect_solver.js';

const model = fakeModel([
  ['backbone.patch_embed.proj.weight', bareParameter([8, 3, 1, 2, 2])],
  ['backbone.norm.bias', bareParameter([8])],
  ['stm_head.fc.weight', bareParameter([1000, 8])],
]);
const decayed = { 'ViT.DEPTH': 1, 'ViT.LAYER_DECAY': 0.5, 'SOLVER.WEIGHT_DECAY': 0.2, 'SOLVER.BASE_LR': 1 };

describe('inspectParamGroups', () => {
  it('prints the groups as JSON', () => {
    expect(JSON.parse(inspectParamGroups(solverConfig(decayed), model, true))).toEqual({
      layer_scales: [0.25, 0.5, 1],
      skip_weight_decay: ['pos_embed'],
      groups: [
        {
          name: 'layer_0_decay_others',
          weight_decay: 1e-4,
          lr_scale: 0.25,
          params: ['backbone.patch_embed.proj.weight'],
        },
        { name: 'layer_2_no_decay_others', weight_decay: 0, lr_scale: 1, params: ['backbone.norm.bias'] },
        { name: 'rest', weight_decay: 0.2, lr_scale: null, params: ['stm_head.fc.weight'] },
      ],
    });
    expect(JSON.parse(inspectParamGroups(solverConfig(), model, true)).layer_scales).toBeNull();
    const convolutional = solverConfig({ 'MODEL.BACKBONE.CONV_BODY': 'PySlowonly' });
    expect(JSON.parse(inspectParamGroups(convolutional, model, true))).toMatchObject({
      layer_scales: null,
      skip_weight_decay: [],
      groups: [{ params: [] }, { name: 'rest', lr_scale: null }],
    });
  });

  it('prints the groups as a table', () => {
    const lines = inspectParamGroups(solverConfig(decayed), model, false).split('\n');
    expect(lines[0]).toBe('adamw: 8,104 parameters in 3 tensors and 3 groups');
    expect(lines).toContain('Layer scales: 0.25, 0.5, 1.0');
    const row = lines.find((line) => line.startsWith('layer_0_decay_others'))!;
    expect(row.split(/ +/)).toEqual([
      'layer_0_decay_others',
      '1',
      '96',
      '0.0001',
      '0.25',
      '0.25',
      'backbone.patch_embed.proj.weight',
    ]);
  });
});

describe('inspectLrSchedule', () => {
  const cfg = solverConfig({
    ...decayed,
    'SOLVER.ITER_PER_EPOCH': 10,
    'SOLVER.MAX_EPOCH': 4,
    'SOLVER.STEPS': [2, 3.25],
    'SOLVER.WARMUP_EPOCH': 1,
  });

  it('prints the learning rates of the groups as JSON, without lr_scale', () => {
    const { iters, lr } = JSON.parse(inspectLrSchedule(cfg, model, [25, 0, 10], true));
    expect(iters).toEqual([25, 0, 10]);
    expect(lr).toEqual([0.1, 0.1, 1].map((rate) => [rate, rate, rate]));
  });

  it('shows where the schedule changes by default', () => {
    expect(JSON.parse(inspectLrSchedule(cfg, model, null, true)).iters).toEqual([
      0, 1, 9, 10, 19, 20, 30, 32, 33, 39,
    ]);
  });

  it('prints a table, with the range of learning rates under layer decay', () => {
    const lines = inspectLrSchedule(cfg, model, [10], false).split('\n');
    expect(lines[2]).toBe('iterations done  epochs   lr  × smallest lr_scale  × largest');
    expect(lines[3].trim().split(/ +/)).toEqual(['10', '1.00', '1.0', '0.25', '1.0']);
    const plain = inspectLrSchedule(solverConfig(), model, [0], false).split('\n');
    expect(plain[2]).toBe('iterations done  epochs     lr');
    expect(plain[3].trim().split(/ +/)).toEqual(['0', '0.00', '1e-06']);
  });
});
