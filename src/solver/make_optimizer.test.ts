import { describe, expect, it } from 'vitest';
import {
  bareParameter,
  fakeModel,
  parameterOf,
  setGrad,
  solverConfig,
} from '../../test/support/solver_fixtures.js';
import { ConfigError } from '../errors.js';
import { Adam } from './adam.js';
import { AdamW } from './adamw.js';
import { layerScalesOf, makeOptimizer } from './make_optimizer.js';
import { SGD } from './sgd.js';

const tinyModel = () =>
  fakeModel([
    ['backbone.pos_embed', bareParameter([1, 4, 8])],
    ['backbone.patch_embed.proj.weight', bareParameter([8, 3, 1, 2, 2])],
    ['backbone.blocks.0.norm1.weight', bareParameter([8])],
    ['backbone.blocks.0.attn.qkv.weight', bareParameter([24, 8])],
    ['backbone.norm.bias', bareParameter([8])],
    ['lateral_convs.0.1.bias', bareParameter([8])],
    ['stm_head.fc.weight', bareParameter([4, 8])],
  ]);
const layout = (optimizer: ReturnType<typeof makeOptimizer>) =>
  optimizer.paramGroups.map(({ name, weight_decay, lr_scale, params }) => [
    name,
    weight_decay,
    lr_scale,
    params.map((param) => param.name),
  ]);

describe('makeOptimizer with a ViT', () => {
  it('has the groups of the backbone, then the rest with decaying biases', () => {
    const cfg = solverConfig({ 'ViT.WEIGHT_DECAY': 0.3, 'SOLVER.WEIGHT_DECAY': 0.2, 'SOLVER.BASE_LR': 0.5 });
    const optimizer = makeOptimizer(cfg, tinyModel());
    expect(layout(optimizer)).toEqual([
      [
        'no_decay_others',
        0,
        1,
        ['backbone.pos_embed', 'backbone.blocks.0.norm1.weight', 'backbone.norm.bias'],
      ],
      ['decay_others', 0.3, 1, ['backbone.patch_embed.proj.weight', 'backbone.blocks.0.attn.qkv.weight']],
      ['rest', 0.2, undefined, ['lateral_convs.0.1.bias', 'stm_head.fc.weight']],
    ]);
    for (const group of optimizer.paramGroups) {
      expect(group).toMatchObject({ lr: 0.5, betas: [0.9, 0.999], eps: 1e-8 });
    }
    expect(layerScalesOf(cfg)).toBeNull();
  });

  it('logs the groups as the official code prints them', () => {
    const lines: string[] = [];
    const cfg = solverConfig({ 'ViT.DEPTH': 1, 'ViT.LAYER_DECAY': 0.5 });
    makeOptimizer(cfg, tinyModel(), { info: (line) => lines.push(line) });
    expect(lines.slice(0, 2)).toEqual([
      'Assigned values = [0.25, 0.5, 1.0]',
      "Skip weight decay list: {'pos_embed'}",
    ]);
    expect(
      lines[2].startsWith('Param groups = {\n  "layer_0_no_decay_others": {\n    "weight_decay": 0.0,'),
    ).toBe(true);
    expect(JSON.parse(lines[2].slice('Param groups = '.length))).toEqual({
      layer_0_no_decay_others: { weight_decay: 0, params: ['pos_embed'], lr_scale: 0.25 },
      layer_0_decay_others: { weight_decay: 1e-4, params: ['patch_embed.proj.weight'], lr_scale: 0.25 },
      layer_1_no_decay_others: { weight_decay: 0, params: ['blocks.0.norm1.weight'], lr_scale: 0.5 },
      layer_1_decay_others: { weight_decay: 1e-4, params: ['blocks.0.attn.qkv.weight'], lr_scale: 0.5 },
      layer_2_no_decay_others: { weight_decay: 0, params: ['norm.bias'], lr_scale: 1 },
    });
    expect(lines.length).toBe(3);
  });

  it('logs no assigned values without layer decay', () => {
    const lines: string[] = [];
    makeOptimizer(solverConfig({ 'ViT.LAYER_DECAY': 1 }), tinyModel(), { info: (line) => lines.push(line) });
    expect(lines.map((line) => line.split(/[=:]/)[0].trim())).toEqual([
      'Skip weight decay list',
      'Param groups',
    ]);
  });

  it('leaves frozen parameters out everywhere', () => {
    const model = tinyModel();
    for (const [name, parameter] of model.namedParameters()) {
      parameter.requiresGrad = !/norm|lateral/.test(name);
    }
    const names = layout(makeOptimizer(solverConfig(), model)).flatMap(([, , , params]) => params);
    expect(names).toEqual([
      'backbone.pos_embed',
      'backbone.patch_embed.proj.weight',
      'backbone.blocks.0.attn.qkv.weight',
      'stm_head.fc.weight',
    ]);
    for (const [, parameter] of model.namedParameters()) parameter.requiresGrad = false;
    expect(() => makeOptimizer(solverConfig(), model)).toThrow(ConfigError);
  });
});

describe('makeOptimizer without a ViT', () => {
  const model = fakeModel([
    ['backbone.conv1.weight', bareParameter([4, 3, 1, 1])],
    ['backbone.bn1.weight', bareParameter([4])],
    ['backbone.bn1.bias', bareParameter([4])],
    ['stm_head.bn.weight', bareParameter([4])],
    ['stm_head.fc.bias', bareParameter([4])],
  ]);

  it('has the batch norms of the backbone in a group of their own', () => {
    const lines: string[] = [];
    const cfg = solverConfig({
      'MODEL.BACKBONE.CONV_BODY': 'PySlowonly',
      'ViT.LAYER_DECAY': 0.5,
      'SOLVER.WEIGHT_DECAY': 0.2,
      'SOLVER.WEIGHT_DECAY_BN': 0.01,
    });
    expect(layout(makeOptimizer(cfg, model, { info: (line) => lines.push(line) }))).toEqual([
      ['backbone_bn', 0.01, undefined, ['backbone.bn1.weight', 'backbone.bn1.bias']],
      ['rest', 0.2, undefined, ['backbone.conv1.weight', 'stm_head.bn.weight', 'stm_head.fc.bias']],
    ]);
    expect(lines).toEqual([]);
    expect(layerScalesOf(cfg)).toBeNull();
  });
});

describe('SOLVER.OPTIMIZING_METHOD', () => {
  it.each([
    ['sgd', SGD],
    ['SGD', SGD],
    ['Adam', Adam],
    ['AdamW', AdamW],
    ['adamW', AdamW],
  ])('selects the optimizer and its settings: %s', (method, kind) => {
    const cfg = solverConfig({
      'SOLVER.OPTIMIZING_METHOD': method,
      'SOLVER.MOMENTUM': 0.7,
      'SOLVER.DAMPENING': 0.1,
      'SOLVER.NESTEROV': false,
      'SOLVER.BETAS': [0.8, 0.9],
    });
    const optimizer = makeOptimizer(cfg, tinyModel());
    expect(optimizer.constructor).toBe(kind);
    expect(optimizer.defaults).toMatchObject(
      kind === SGD ? { momentum: 0.7, dampening: 0.1, nesterov: false } : { betas: [0.8, 0.9], eps: 1e-8 },
    );
  });

  it.each([
    [{ 'SOLVER.OPTIMIZING_METHOD': 'lamb' }, /OPTIMIZING_METHOD: expected adamw, adam, sgd .* found "lamb"/],
    [{ 'SOLVER.BASE_LR': -1 }, /learning rate -1/],
    [{ 'SOLVER.BASE_LR': Number.NaN }, /learning rate NaN/],
    [{ 'SOLVER.WEIGHT_DECAY': -1 }, /group "rest": weight decay -1/],
    [{ 'SOLVER.BETAS': [0.9, 1] }, /betas \[0.9, 1\]/],
    [{ 'SOLVER.BETAS': [-0.1, 0.9] }, /betas/],
    [{ 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.MOMENTUM': -1 }, /momentum -1/],
    [{ 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.NESTEROV': true, 'SOLVER.MOMENTUM': 0 }, /NESTEROV/],
    [{ 'SOLVER.OPTIMIZING_METHOD': 'sgd', 'SOLVER.NESTEROV': true, 'SOLVER.DAMPENING': 0.1 }, /DAMPENING 0/],
  ])('refuses invalid settings: %j', (changes, message) => {
    const make = () => makeOptimizer(solverConfig(changes), tinyModel());
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(message);
  });
});

describe('layer decay', () => {
  const trained = (changes: Record<string, unknown>) => {
    const first = parameterOf([1, 1], [1, 2]);
    const last = parameterOf([1, 1], [1, 2]);
    const cfg = solverConfig({ 'ViT.DEPTH': 2, 'ViT.WEIGHT_DECAY': 0, 'SOLVER.BASE_LR': 0.1, ...changes });
    const optimizer = makeOptimizer(
      cfg,
      fakeModel([
        ['backbone.blocks.0.attn.qkv.weight', first],
        ['backbone.blocks.1.attn.qkv.weight', last],
      ]),
    );
    for (const parameter of [first, last]) setGrad(parameter, [0.5, -2]);
    optimizer.step();
    return [first, last].map((parameter) => 1 - parameter.value.dataSync()[0]);
  };

  it.each(['sgd', 'adam', 'adamw'])('scales the step of %s', (method) => {
    const [first, last] = trained({ 'SOLVER.OPTIMIZING_METHOD': method, 'ViT.LAYER_DECAY': 0.5 });
    expect(last).toBeGreaterThan(0.01);
    expect(first / last).toBeCloseTo(0.5, 5);
  });

  it('is switched off by APPLY_LR_SCALE and by LAYER_DECAY 1', () => {
    const [first, last] = trained({ 'ViT.LAYER_DECAY': 0.5, 'SOLVER.APPLY_LR_SCALE': false });
    expect(first).toBe(last);
    expect(trained({ 'ViT.LAYER_DECAY': 1 })).toEqual([first, last]);
  });

  it('scales the decoupled weight decay, too', () => {
    const weight = parameterOf([1], [1, 1]);
    const cfg = solverConfig({
      'ViT.DEPTH': 1,
      'ViT.LAYER_DECAY': 0.5,
      'ViT.WEIGHT_DECAY': 0.25,
      'SOLVER.BASE_LR': 0.5,
    });
    const optimizer = makeOptimizer(cfg, fakeModel([['backbone.blocks.0.w.weight', weight]]));
    setGrad(weight, [0]);
    optimizer.step();
    expect(weight.value.dataSync()[0]).toBe(1 - 0.5 * 0.5 * 0.25);
  });
});
