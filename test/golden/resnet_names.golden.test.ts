/** @file Names, shapes, groups and initial values of detectors with ResNet backbones. */
import { describe, expect, it } from 'vitest';
import { Detector } from '../../src/model/detector.js';
import { type Parameter, StateBuffer } from '../../src/nn/module.js';
import { makeOptimizer } from '../../src/solver/index.js';
import { CLASS_WEIGHTS } from '../../src/training/training_state.js';
import { Rng } from '../../src/util/random.js';
import { goldenExists } from './golden.js';
import { officialConfig, resnetJson, sizeOf } from './resnet.js';

const GROUPS = 'resnet_param_groups.json';
const INIT = 'resnet_init_stats.json';
const groups = goldenExists(`resnet/${GROUPS}`) ? resnetJson(GROUPS) : {};
const init = goldenExists(`resnet/${INIT}`) ? resnetJson(INIT) : {};
// biome-ignore lint/suspicious/noExplicitAny: the structure is that of the file
const configurations = (file: any) => Object.entries<any>(file).filter(([, entry]) => entry?.base_config);

describe.skipIf(Object.keys(groups).length === 0)('names and groups', () => {
  it.each(configurations(groups))('of %s', (_, golden) => {
    const cfg = officialConfig(golden.base_config, {
      ...golden.config,
      'SOLVER.BASE_LR': golden.BASE_LR,
      'SOLVER.WEIGHT_DECAY': golden['SOLVER.WEIGHT_DECAY'],
      'SOLVER.WEIGHT_DECAY_BN': golden['SOLVER.WEIGHT_DECAY_BN'],
    });
    const model = new Detector(cfg);
    const shapes = Array.from(model.namedParameters(), ([name, { shape }]) => [name, [...shape]]);
    expect(shapes).toEqual(golden.parameters_in_order);
    const state = Array.from(model.namedState(), ([name, entry]) => [
      name,
      [...entry.shape],
      entry instanceof StateBuffer ? entry.dtype : 'float32',
    ]);
    state.push([CLASS_WEIGHTS, [cfg.MODEL.STM.OBJECT_CLASSES + 1], 'float32']);
    expect(state).toEqual(golden.state_dict_in_order);
    expect(shapes.length).toBe(golden.num_tensors);
    expect(model.parameters().reduce((sum, { size }) => sum + size, 0)).toBe(golden.num_params);
    expect(state.reduce((sum, [, shape]) => sum + sizeOf(shape as number[]), 0)).toBe(
      golden.num_state_dict_elements,
    );
    const optimizer = makeOptimizer(cfg, model);
    const [norms, rest] = optimizer.paramGroups;
    expect(optimizer.paramGroups).toHaveLength(2);
    expect(norms.params.map(({ name }) => name)).toEqual(golden.groups[0].names);
    expect(rest.params.map(({ name }) => name)).toEqual(golden.rest_parameters.names);
    expect([norms.weight_decay, norms.lr]).toEqual([golden.groups[0].weight_decay, golden.groups[0].lr]);
    expect([rest.weight_decay, rest.lr]).toEqual([
      golden.rest_parameters.weight_decay,
      golden.rest_parameters.lr,
    ]);
  });
});

const initialized = Object.keys(init).filter((key) => key in groups);

describe.skipIf(initialized.length === 0)('initial values', () => {
  it.each(initialized)('of %s', (key) => {
    const stats: Record<string, readonly [number, number, number, number]> = init[key];
    const parameters = new Map(
      new Detector(officialConfig(groups[key].base_config, groups[key].config)).namedParameters(),
    );
    for (const [name, [mean, deviation, min, max]] of Object.entries(stats)) {
      const { shape, size, init: fill } = parameters.get(name) as Parameter;
      const values = new Float32Array(size);
      fill(values, shape, Rng.forName(5, name));
      const own = values.reduce((a, b) => a + b, 0) / size;
      const spread = Math.sqrt(values.reduce((a, b) => a + (b - own) ** 2, 0) / size);
      // Six standard errors, of both samples.
      const error = (12 * deviation) / Math.sqrt(size) + 1e-12;
      expect(Math.abs(own - mean), `${name} mean`).toBeLessThanOrEqual(error);
      expect(Math.abs(spread - deviation), `${name} deviation`).toBeLessThanOrEqual(error);
      // All values lie in one interval, and those of a large tensor come close to its ends.
      const reach = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const bound = Math.max(Math.abs(min), Math.abs(max));
      const gap = bound * Math.max(1e-6, 30 / size);
      expect(Math.abs(reach - bound), `${name} bound`).toBeLessThanOrEqual(gap);
    }
  });
});
