/** @file Checkpoint files that PyTorch wrote, read and loaded as the official code does: golden checkpoints/. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadCheckpoint } from '../../src/checkpoint/checkpoint_parts.js';
import { elementsOf, float32Tensor, type HostTensor, isHostTensor } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { PyOpaque, PyTuple, type PyValue } from '../../src/formats/python/values.js';
import { readSafetensors } from '../../src/formats/safetensors/safetensors_reader.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { goldenExists, goldenJson, goldenPath } from './golden.js';

const EXPECTED = 'checkpoints/expected.json';

interface TensorFacts {
  shape: number[];
  dtype: string;
  sum: number;
  abssum: number;
  first: number[];
  last?: number[];
  values?: unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: every file has facts of its own
type Facts = Record<string, any>;

function get(value: PyValue | undefined, key: PyValue): PyValue | undefined {
  expect(value).toBeInstanceOf(Map);
  return (value as Map<PyValue, PyValue>).get(key);
}

function sumOf(tensor: HostTensor): number {
  return Array.from<number | bigint, number>(elementsOf(tensor), Number).reduce((a, b) => a + b, 0);
}

/** Up to the order of adding. */
function closeTo(sum: number, facts: TensorFacts): boolean {
  return Math.abs(sum - facts.sum) <= 1e-9 * facts.abssum;
}

function expectTensor(value: PyValue | undefined, facts: TensorFacts, what: string): void {
  if (!isHostTensor(value)) expect.fail(`${what} is no tensor`);
  expect([value.dtype, [...value.shape]], what).toEqual([facts.dtype, facts.shape]);
  const elements = Array.from<number | bigint, number>(elementsOf(value), Number);
  const within = 1e-12 * facts.abssum;
  expect(Math.abs(elements.reduce((a, b) => a + b, 0) - facts.sum), `${what}: sum`).toBeLessThanOrEqual(
    within,
  );
  const absolute = elements.reduce((a, b) => a + Math.abs(b), 0);
  expect(Math.abs(absolute - facts.abssum), `${what}: absolute sum`).toBeLessThanOrEqual(within);
  expect(elements.slice(0, facts.first.length), what).toEqual(facts.first);
  if (facts.last?.length) expect(elements.slice(-facts.last.length), what).toEqual(facts.last);
  if (facts.values !== undefined)
    expect(elements, what).toEqual([facts.values].flat(Number.POSITIVE_INFINITY));
}

/** Compares with JSON: lists and tuples are arrays, dicts objects with string keys, tensors their facts. */
function expectLike(value: PyValue | undefined, facts: unknown, what: string): void {
  if (Array.isArray(facts)) {
    const items = value instanceof PyTuple ? value.items : value;
    if (!Array.isArray(items)) expect.fail(`${what} is no list`);
    expect(items.length, what).toBe(facts.length);
    for (const [i, fact] of facts.entries()) expectLike(items[i], fact, `${what}[${i}]`);
  } else if (facts !== null && typeof facts === 'object' && 'abssum' in facts) {
    expectTensor(value, facts as TensorFacts, what);
  } else if (facts !== null && typeof facts === 'object') {
    for (const [key, fact] of Object.entries(facts)) {
      const dict = value as Map<PyValue, PyValue>;
      expectLike(dict.has(key) ? dict.get(key) : dict.get(Number(key)), fact, `${what}.${key}`);
    }
  } else expect(typeof value === 'bigint' ? String(value) : value, what).toEqual(facts);
}

describe.skipIf(!goldenExists(EXPECTED))('the checkpoints of PyTorch', () => {
  const files: [string, Facts][] = goldenExists(EXPECTED) ? Object.entries(goldenJson(EXPECTED).files) : [];
  let folder: string;
  let weights: Map<string, HostTensor>;

  beforeAll(() => {
    folder = temporaryFolderOfFile();
    weights = readSafetensors(goldenPath('checkpoints', 'model_weights.safetensors'));
  });

  test('exist', () => expect(files.length).toBeGreaterThan(0));

  test.each(files)('are read: %s', (name, facts) => {
    const value = readPth(goldenPath('checkpoints', name));
    const top = value as Map<PyValue, PyValue>;
    if (facts.top_keys) expect([...top.keys()]).toEqual(facts.top_keys);
    for (const key of ['iteration', 'epoch', 'nested', 'scheduler']) {
      if (key in facts) expectLike(top.get(key), facts[key], key);
    }
    if (facts.optimizer_param_groups) {
      expectLike(get(top.get('optimizer'), 'param_groups'), facts.optimizer_param_groups, 'param_groups');
      const state = get(top.get('optimizer'), 'state');
      expectLike(state, facts.optimizer_state, 'state');
      expect((state as Map<PyValue, PyValue>).size).toBe(Object.keys(facts.optimizer_state).length);
    }
    const expected: Record<string, TensorFacts> = facts.module ?? facts.model;
    const state = (top.get(facts.module ? 'module' : 'model') ?? value) as Map<string, HostTensor>;
    expect([...state.keys()]).toEqual(Object.keys(expected));
    for (const [key, tensor] of state) expectTensor(tensor, expected[key], key);
  });

  test.each(files.filter(([, facts]) => facts.official_load))(
    'are loaded as in the official code: %s',
    (name, facts) => {
      const { every_key_loaded_from_same_name, not_loaded, loaded_from, after_load } = facts.official_load;
      const path = goldenPath('checkpoints', name);
      const set = new Map<string, HostTensor>();
      const { report, misfit, iteration } = loadCheckpoint(
        { path, transfer: false, noHead: false, coverage: 'whole groups' },
        weights,
        (key, data) => {
          set.set(key, float32Tensor(weights.get(key)!.shape, data));
        },
      );
      expect(misfit).toBeNull();
      expect([...report.missing].sort()).toEqual([...not_loaded].sort());
      expect([...set.keys()]).toEqual([...report.loaded.keys()]);
      expect(set.size + report.missing.length).toBe(weights.size);
      if (every_key_loaded_from_same_name) {
        for (const [key, from] of report.loaded) expect([key, `module.${key}`]).toContain(from);
      }
      // The official names are those of the model after its own renaming: the file's key is their end.
      for (const [key, from] of Object.entries<string>(loaded_from ?? {})) {
        expect(from.endsWith(report.loaded.get(key)!), `${key} from ${report.loaded.get(key)}`).toBe(true);
      }
      if (loaded_from) expect([...report.loaded.keys()].sort()).toEqual(Object.keys(loaded_from).sort());
      const source: Record<string, TensorFacts> = facts.module ?? facts.model;
      for (const [key, tensor] of set) {
        const expected = after_load?.[key] ?? source[report.loaded.get(key)!];
        expectTensor(tensor, expected, key);
        // Where the file holds the reference weights, every single value must be right.
        const reference = weights.get(key)!;
        if (closeTo(sumOf(reference), expected))
          expect(elementsOf(tensor), key).toEqual(elementsOf(reference));
      }
      expect(iteration).toBe(facts.iteration ?? null);
    },
  );

  test.each(files.filter(([, facts]) => facts.official_load_error))(
    'are loaded even if the official code cannot load them: %s',
    (name, facts) => {
      const loaded: string[] = [];
      const { report } = loadCheckpoint(
        { path: goldenPath('checkpoints', name), transfer: false, noHead: false },
        weights,
        (key, data) => {
          loaded.push(key);
          expectTensor(float32Tensor(weights.get(key)!.shape, data), facts.model[key], key);
        },
      );
      expect(loaded.sort()).toEqual(Object.keys(facts.model).sort());
      expect(report.unexpected).toEqual([]);
    },
  );

  test.each(files)('are the same after writing and reading them again: %s', async (name, facts) => {
    const value = readPth(goldenPath('checkpoints', name));
    const copy = join(folder, name);
    await writePth(copy, withoutObjects(value));
    const read = readPth(copy) as Map<PyValue, PyValue>;
    const state = read.get(facts.module ? 'module' : 'model') ?? read;
    expectLike(state, facts.module ?? facts.model, 'model');
    if (facts.optimizer_state)
      expectLike(get(read.get('optimizer'), 'state'), facts.optimizer_state, 'state');
    if (facts.scheduler) expectLike(read.get('scheduler'), facts.scheduler, 'scheduler');
  });
});

/** Objects of other classes can be read but not written. */
function withoutObjects(value: PyValue): PyValue {
  if (!(value instanceof Map)) return value;
  return new Map(
    [...value]
      .filter(([, item]) => !(item instanceof PyOpaque))
      .map(([key, item]) => [key, withoutObjects(item)]),
  );
}
