/** @file Weight files for ResNets: Caffe2's pickles, as the official code loads them, and a file of its trainer. */
import { describe, expect, test } from 'vitest';
import { type LoadedCheckpoint, loadCheckpoint } from '../../src/checkpoint/checkpoint_parts.js';
import { describeWeightFile } from '../../src/checkpoint/describe.js';
import { isBuffer } from '../../src/checkpoint/model_parts.js';
import { caffe2, pySlowFastName } from '../../src/checkpoint/origins/caffe2.js';
import type { ModelShapes } from '../../src/checkpoint/weights.js';
import type { Config } from '../../src/config/index.js';
import { elementsOf, float32Tensor, type HostTensor, isHostTensor } from '../../src/formats/host_tensor.js';
import { PyFloat, PyTuple, type PyValue } from '../../src/formats/python/values.js';
import { openWeightFile } from '../../src/formats/weight_file.js';
import { backboneKind } from '../../src/model/backbones.js';
import { Detector } from '../../src/model/detector.js';
import { StateBuffer } from '../../src/nn/module.js';
import { makeLrScheduler, makeOptimizer } from '../../src/solver/index.js';
import { CLASS_WEIGHTS } from '../../src/training/training_state.js';
import { goldenExists, goldenJson, goldenPath } from './golden.js';
import { officialConfig } from './resnet.js';

const FOLDER = 'resnet/resnet_checkpoints';
const EXPECTED = `${FOLDER}/expected.json`;
const C2_NAMES = `${FOLDER}/c2_names.json`;

// biome-ignore lint/suspicious/noExplicitAny: every file has facts of its own
type Facts = Record<string, any>;

const expected: Facts = goldenExists(EXPECTED) ? goldenJson(EXPECTED) : {};
const filesWith = (key: string) => Object.entries<Facts>(expected).filter(([, facts]) => key in facts);

const configOf = (facts: Facts): Config => officialConfig(facts.base_config, facts.config_overrides);

/** The inputs of the official neck by the number of pathways, whatever the widths of the backbone are. */
const OFFICIAL_NECK: Readonly<Record<number, readonly number[]>> = {
  1: [256, 512, 1024, 2048],
  2: [288, 576, 1152, 2304],
};

/** The model as the official code builds it. It cannot compute if the widths are not those of the neck. */
function officialModel(cfg: Config): Detector {
  const model = new Detector(cfg);
  const channels = OFFICIAL_NECK[cfg.MODEL.BACKBONE.PATHWAYS];
  const backbone = Object.create(model.backbone, { channels: { value: channels } });
  const neck = backboneKind(cfg).makeNeck(backbone, cfg.MODEL.STM.HIDDEN_DIM);
  model.lateral_convs.splice(0, neck.length, ...neck);
  return model;
}

/** The state dict of the official model: that of ours and the weights of its loss. */
function shapesOf(cfg: Config): ModelShapes {
  const shapes = new Map<string, { shape: readonly number[] }>(officialModel(cfg).namedState());
  return shapes.set(CLASS_WEIGHTS, { shape: [cfg.MODEL.STM.OBJECT_CLASSES + 1] });
}

function load(name: string, cfg: Config): { loaded: LoadedCheckpoint; set: Map<string, HostTensor> } {
  const shapes = shapesOf(cfg);
  const set = new Map<string, HostTensor>();
  const source = {
    path: goldenPath(FOLDER, name),
    transfer: false,
    noHead: false,
    coverage: 'whole groups',
  } as const;
  const loaded = loadCheckpoint(source, shapes, (key, data) => {
    set.set(key, float32Tensor(shapes.get(key)!.shape, data));
  });
  return { loaded, set };
}

/** Sum, first and last element. */
function factsOf(tensor: HostTensor): [sum: number, first: number, last: number] {
  const elements = Array.from<number | bigint, number>(elementsOf(tensor), Number);
  return [elements.reduce((a, b) => a + b, 0), elements[0], elements.at(-1)!];
}

function expectTensor(tensor: HostTensor, shape: number[], facts: readonly number[], what: string): void {
  expect(tensor.shape, what).toEqual(shape);
  const [sum, first, last] = factsOf(tensor);
  expect([first, last], what).toEqual(facts.slice(1));
  // Up to the order of adding.
  const size = Array.from<number | bigint, number>(elementsOf(tensor), (value) =>
    Math.abs(Number(value)),
  ).reduce((a, b) => a + b, 0);
  expect(Math.abs(sum - facts[0]), `${what}: sum`).toBeLessThanOrEqual(1e-12 * size);
}

describe.skipIf(!goldenExists(C2_NAMES))("Caffe2's names", () => {
  const models = Object.entries<[string, string][]>(
    goldenExists(C2_NAMES) ? goldenJson(C2_NAMES) : {},
  ).filter(([, rows]) => Array.isArray(rows));

  test.each(models)('become those of PySlowFast: %s', (_, rows) => {
    expect(rows.length).toBeGreaterThan(0);
    for (const [blob, name] of rows) {
      expect(pySlowFastName(blob), blob).toBe(name);
      expect([null, name], blob).toContain(caffe2.rename(blob));
      // A name that is one already passes unchanged.
      expect(pySlowFastName(name), name).toBe(name);
    }
  });

  test.each(models.filter(([, rows]) => rows.length > 100))(
    'are those of a model, each once and in its order: %s',
    (_, rows) => {
      const official = ['PySlowonly-R50-K400-4x16', 'PySlowfast-R50-K400-8x8', 'PySlowfast-R101-NL-K600-8x8'];
      const states = official.map((config) =>
        Array.from(new Detector(officialConfig(`${config}.yaml`)).backbone.namedState(), ([name]) => name),
      );
      const named = rows.map(([blob]) => caffe2.rename(blob));
      expect(states.map((names) => names.filter((name) => !isBuffer(name)))).toContainEqual(named);
    },
  );
});

describe.skipIf(filesWith('filled').length === 0)('a pickle of Caffe2', () => {
  test.each(filesWith('filled'))('fills what the official code fills: %s', (name, facts) => {
    const { loaded, set } = load(name, configOf(facts));
    expect(loaded.misfit).toBeNull();
    expect([...set.keys()].sort()).toEqual(Object.keys(facts.filled).sort());
    for (const [key, [blob, shape, ...values]] of Object.entries<[string, number[], ...number[]]>(
      facts.filled,
    )) {
      expect(loaded.report.loaded.get(key)).toBe(blob);
      expectTensor(set.get(key)!, shape, values, key);
    }
  });

  test.each(filesWith('filled'))('keeps what the official code keeps: %s', (name, facts) => {
    const { report } = load(name, configOf(facts)).loaded;
    const kept = report.missing.filter((key) => key.startsWith('backbone.'));
    expect(kept.toSorted()).toEqual(facts.kept.backbone.toSorted());
    expect(kept.every(isBuffer)).toBe(true);
    const count = Number(/\((\d+) tensors\)/.exec(facts.kept.others)?.[1]);
    expect(report.missing.length - kept.length).toBe(count);
  });

  test.each(filesWith('filled'))('has blobs that nothing takes: %s', (name, facts) => {
    const { report } = load(name, configOf(facts)).loaded;
    const ignored = Object.entries<string | null>(facts.ignored_blobs);
    for (const [blob, becomes] of ignored) {
      const renamed = pySlowFastName(blob);
      expect(renamed && `backbone.${renamed}`, blob).toBe(becomes);
    }
    const reported = ignored.filter(([, becomes]) => becomes !== null).map(([blob]) => blob);
    expect(report.unexpected.toSorted()).toEqual(reported.toSorted());
  });

  test.each(filesWith('filled'))('is described: %s', (name, facts) => {
    const { format, weightsKey, origin, groups, otherNames, loading } = describeWeightFile(
      goldenPath(FOLDER, name),
    );
    expect([format, weightsKey, origin]).toEqual(['pickle', 'blobs', `names of ${caffe2.title}`]);
    const tensors = Object.keys(facts.filled).length;
    expect(groups).toEqual([{ group: 'backbone', tensors, known: tensors, unknown: [] }]);
    expect(loading).toContain('only a backbone: its tensors load into backbone.*');
    const others = Object.keys(facts.ignored_blobs).filter((blob) => facts.ignored_blobs[blob] !== null);
    expect(otherNames.toSorted()).toEqual(others.toSorted());
  });
});

describe.skipIf(filesWith('top_keys').length === 0)('a file of the official trainer', () => {
  test.each(filesWith('top_keys'))('holds what it holds: %s', (name, facts) => {
    const top = openWeightFile(goldenPath(FOLDER, name)).value as Map<string, Map<string, HostTensor>>;
    expect([...top.keys()]).toEqual(facts.top_keys);
    expect(top.get('iteration')).toBe(facts.iteration);
    const state = top.get('model')!;
    expect([...state.keys()]).toEqual(Object.keys(facts.model));
    for (const [key, [dtype, shape, ...values]] of Object.entries<[string, number[], ...number[]]>(
      facts.model,
    )) {
      expect(state.get(key)!.dtype, key).toBe(dtype);
      expectTensor(state.get(key)!, shape, values, key);
    }
    const counters = [...state].filter(([key]) => key.endsWith('num_batches_tracked'));
    const counts = new Set(counters.map(([, tensor]) => Number(elementsOf(tensor)[0])));
    expect([...counts]).toEqual(facts.num_batches_tracked_values);
  });

  test.each(filesWith('top_keys'))('fills the whole model: %s', (name, facts) => {
    const cfg = configOf(facts);
    const { loaded, set } = load(name, cfg);
    expect([loaded.report.missing, loaded.report.unexpected, loaded.misfit]).toEqual([[], [], null]);
    expect([...set.keys()]).toEqual(Object.keys(facts.model));
    for (const [key, [, shape, ...values]] of Object.entries<[string, number[], ...number[]]>(facts.model))
      expectTensor(set.get(key)!, shape, values, key);
    const model = officialModel(cfg);
    for (const [key, entry] of model.namedState()) {
      entry.set(new Float32Array(elementsOf(set.get(key)!) as Float32Array));
      if (entry instanceof StateBuffer) expect([...entry.data], key).toEqual([...elementsOf(set.get(key)!)]);
    }
    model.dispose();
  });

  test.each(filesWith('top_keys'))('continues optimizer and schedule: %s', (name, facts) => {
    const cfg = configOf(facts);
    const { loaded } = load(name, cfg);
    const model = officialModel(cfg);
    const optimizer = makeOptimizer(cfg, model);
    const scheduler = makeLrScheduler(cfg, optimizer);
    optimizer.loadStateDict(loaded.optimizer);
    scheduler.loadStateDict(loaded.scheduler);
    const { state, param_groups } = jsonLike(optimizer.stateDict()) as Facts;
    expect(param_groups).toMatchObject(facts.optimizer_param_groups.map(withoutNull));
    expect(Object.keys(state)).toEqual(Object.keys(facts.optimizer_state_l2));
    for (const [index, moments] of Object.entries<Facts>(facts.optimizer_state_l2)) {
      for (const [moment, size] of Object.entries<number>(moments))
        expect(Math.abs(sizeOf(state[index][moment]) / size - 1), `${index}.${moment}`).toBeLessThan(1e-6);
    }
    expect(jsonLike(scheduler.stateDict())).toMatchObject(withoutNull(facts.scheduler));
    optimizer.dispose();
    model.dispose();
  });
});

/** The Euclidean norm of a tensor, or a number. */
function sizeOf(value: HostTensor | number): number {
  if (!isHostTensor(value)) return value;
  return Math.hypot(...Array.from<number | bigint, number>(elementsOf(value), Number));
}

/** A value as JSON could hold it, apart from its tensors. */
function jsonLike(value: PyValue): unknown {
  if (value instanceof PyFloat) return value.value;
  if (value instanceof PyTuple) return value.items.map(jsonLike);
  if (Array.isArray(value)) return value.map(jsonLike);
  if (typeof value !== 'object' || value === null || isHostTensor(value)) return value;
  const entries: [PyValue, PyValue][] = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [String(key), jsonLike(item)]));
}

/** Settings of PyTorch that have no value say nothing. */
function withoutNull(settings: Facts): Facts {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
}
