/** @file Tests of finding the state dict in the value of a weight file. */
import { describe, expect, test } from 'vitest';
import { errorOf } from '../../test/support/checkpoint_files.js';
import { modelTensors, only, renamed, smallTensor as tensor } from '../../test/support/model_tensors.js';
import { CheckpointError } from '../errors.js';
import { NumpyArray } from '../formats/numpy/array.js';
import { type PyDict, PyOpaque, PyTuple, type PyValue } from '../formats/python/values.js';
import { AmbiguousWeightsError, averagesBeside, findStateDict } from './state_dict.js';

const dict = (entries: Record<string, PyValue>): PyDict => new Map(Object.entries(entries));
const weights = dict({ w: tensor(2) });
const vit = only(modelTensors(), /^backbone\./) as PyDict;
const keyOf = (value: PyValue, key = '') =>
  findStateDict('f.pth', value, { key, option: 'MODEL.WEIGHT_KEY' }).key;

/** A whole network as torch.save writes it. */
function network(parameters: Record<string, PyValue>, modules: Record<string, PyValue> = {}): PyOpaque {
  const state = { _parameters: dict(parameters), _buffers: dict({}), _modules: dict(modules) };
  return new PyOpaque('my.Net', [], dict(state));
}

describe('averaged weights', () => {
  const sentence = (value: PyDict, key = '') =>
    averagesBeside(value, findStateDict('f.pth', value, { key, option: 'MODEL.WEIGHT_KEY' }));

  test('beside the chosen ones are named, with the option that takes them', () => {
    expect(sentence(dict({ model: vit, model_ema: new Map(vit) }))).toBe(
      'the weights under "model" are loaded; "model_ema" holds averaged weights (EMA), 30 tensors. To load those instead, add ' +
        'MODEL.WEIGHT_KEY model_ema',
    );
    for (const key of ['state_dict_ema', 'ema', 'params_ema', 'ema_state_dict', 'swa'])
      expect(sentence(dict({ state_dict: vit, [key]: new Map(vit) }))).toMatch(
        new RegExp(`MODEL\\.WEIGHT_KEY ${key}$`),
      );
  });

  test('of OpenMMLab are the chosen ones', () => {
    const value = dict({ state_dict: vit, ema_state_dict: new Map(vit), message_hub: dict({}) });
    expect(sentence(value)).toMatch(/"ema_state_dict" \(30 tensors\) holds the weights before averaging/);
  });

  test('are not spoken of if they are chosen, or if there are none', () => {
    expect(sentence(dict({ model: vit, model_ema: new Map(vit) }), 'model_ema')).toBeNull();
    expect(sentence(dict({ model_ema: vit }))).toBeNull();
    expect(sentence(dict({ model: vit, schema: new Map(vit) }))).toBeNull();
  });
});

describe('the state dict', () => {
  const found = (value: PyValue) => [...findStateDict('f.pth', value).state.keys()];

  test('is found under the usual keys, or is the value itself', () => {
    expect(found(weights)).toEqual(['w']);
    for (const key of ['model', 'module', 'state_dict'])
      expect(found(new Map([[key, weights]]))).toEqual(['w']);
    const named = new Map<PyValue, PyValue>([
      ['model', 'vit_base'],
      ['state_dict', weights],
    ]);
    expect(found(named)).toEqual(['w']);
    expect(found(new Map([['model', tensor(1)]]))).toEqual(['model']);
  });

  test.each([
    'model_state',
    'model_state_dict',
    'net',
    'teacher',
    'student',
    'model_ema',
    'ema_state_dict',
    'params',
    'anything else',
  ])('is found under the key %s, beside an optimizer', (key) => {
    const optimizer = dict({ state: new Map<PyValue, PyValue>([[0, dict({ exp_avg: tensor(2) })]]) });
    expect(keyOf(dict({ epoch: 3, optimizer, [key]: weights }))).toBe(key);
    expect(keyOf(dict({ optimizer_state_dict: optimizer, run: dict({ [key]: weights }) }))).toBe(
      `run.${key}`,
    );
  });

  test('is found in a tuple, and under a key that looks like that of an optimizer', () => {
    const optimizer = dict({ state: dict({ exp_avg: tensor(2) }) });
    expect(keyOf(new PyTuple([vit, optimizer]))).toBe('0');
    expect(keyOf(dict({ optimized_model: vit, epoch: 3 }))).toBe('optimized_model');
    expect(keyOf(dict({ optimized_model: vit, model: new Map(vit) }), 'optimized_model')).toBe(
      'optimized_model',
    );
  });

  test('is found in lists and in dictionaries of classes of their own', () => {
    const own = new PyOpaque('my.Dict', []);
    own.contents = weights;
    expect(keyOf(dict({ networks: [own] }))).toBe('networks.0');
  });

  test('is made of the parts of a whole network, wherever it lies', () => {
    const net = network({ b: tensor(2) }, { head: network({ w: tensor(3), bias: null }) });
    for (const key of ['model', 'network']) {
      const value = dict({ [key]: network({}, { module: net }), epoch: 3 });
      expect(keyOf(value)).toBe(key);
      expect([...findStateDict('f.pth', value).state.keys()]).toEqual(['module.b', 'module.head.w']);
    }
    expect(found(net)).toEqual(['b', 'head.w']);
    expect(keyOf(dict({ net, model: vit }))).toBe('model');
  });

  test('is found among the attributes of an object', () => {
    const own = new PyOpaque('my.Checkpoint', [], dict({ step: 3, weights: dict({ w: tensor(2) }) }));
    expect(keyOf(dict({ run: own }))).toBe('run.weights');
  });

  test('is found in bounded time in a network with endless paths or one that holds itself', () => {
    let net = network({ w: tensor(2) });
    for (let i = 0; i < 100; i++) net = network({}, { a: net, b: net });
    const loop = network({ w: tensor(2) });
    ((loop.state as PyDict).get('_modules') as PyDict).set('self', loop);
    expect(() => keyOf(net)).toThrow(/object of class my\.Net/);
    expect(found(loop)).toContain('w');
  });

  test('is the one that the official programs take first if there are several', () => {
    expect(keyOf(dict({ model_ema: vit, model: vit, state_dict: vit }))).toBe('model');
    expect(keyOf(dict({ state_dict: vit, module: vit }))).toBe('module');
    expect(keyOf(dict({ ema_state_dict: vit, state_dict: vit }))).toBe('state_dict');
  });

  test('is the one with names of a video transformer if only one has them', () => {
    const loss = dict({ center: tensor(3) });
    expect(keyOf(dict({ loss, net: vit }))).toBe('net');
    expect(keyOf(dict({ model: loss, net: vit }))).toBe('net');
    expect(keyOf(dict({ mean: tensor(3), net: vit }))).toBe('net');
  });

  test('is the same under two keys of one dictionary', () => {
    expect(keyOf(dict({ net: vit, best: vit }))).toBe('net');
  });

  test('is chosen by the user if several remain, and all are named with their tensors', () => {
    const value = dict({ student: new Map(vit), teacher: new Map([...vit].slice(1)), epoch: 1 });
    const error = errorOf(() => keyOf(value));
    expect(error).toBeInstanceOf(AmbiguousWeightsError);
    expect(error.message).toBe(
      'f.pth: holds several sets of weights: student (30 tensors), teacher (29 tensors). Choose one, for example with ' +
        'MODEL.WEIGHT_KEY student',
    );
    expect(keyOf(value, 'teacher')).toBe('teacher');
    expect(findStateDict('f.pth', value, { key: 'teacher', option: '' }).state.size).toBe(29);
    expect(() => keyOf(value, 'ema')).toThrow(
      'f.pth: has no tensors under "ema" (MODEL.WEIGHT_KEY); it holds student (30 tensors), teacher (29 tensors)',
    );
  });

  test('is chosen by the user among parts of one dictionary with different prefixes', () => {
    const value = new Map<PyValue, PyValue>(
      ['student', 'teacher'].flatMap((who) => [...renamed(vit as never, (name) => `${who}.${name}`)]),
    );
    expect(() => keyOf(value)).toThrow(
      /several sets of weights: student \(30 tensors\), teacher \(30 tensors\)/,
    );
    const { state } = findStateDict('f.pth', value, { key: 'teacher', option: '' });
    expect([...state.keys()]).toEqual([...vit.keys()]);
    const wrapped = dict({ model: value });
    expect(keyOf(wrapped, 'model.student')).toBe('model.student');
  });

  test.each<[string, PyValue]>([
    ['in lists', dict({ weights: [tensor(2), tensor(3)], optimizer: dict({ a: tensor(1) }) })],
    ['in an optimizer only', dict({ optimizer: dict({ state: dict({ exp_avg: tensor(1) }) }) })],
  ])('is missed in a file with tensors %s, which are named', (_, value) => {
    const { message } = errorOf(() => keyOf(value));
    expect(message).toMatch(
      /^f\.pth: holds \d tensors?, but no state dict, .*: (weights\.0|optimizer\.state)/,
    );
  });

  test('is found in bounded time in a value with endless paths', () => {
    let value: PyDict = new Map(vit);
    for (let i = 0; i < 100; i++) value = dict({ a: value, b: value });
    expect(() => keyOf(value)).toThrow(/no state dict/);
  });

  test.each<[string, PyValue, RegExp]>([
    [
      'a whole model',
      new PyOpaque('torch.nn.Linear', []),
      /object of class torch\.nn\.Linear.* state_dict\(\)/,
    ],
    ['a whole model inside', new Map([['model', new PyOpaque('my.Net', [])]]), /object of class my\.Net/],
    [
      'arrays of NumPy',
      dict({ w: new NumpyArray([]) }),
      /holds arrays of NumPy that are no tensors: w \(elements of an unknown type\)\. .*astype/,
    ],
    ['no tensors', new Map<PyValue, PyValue>([['epoch', 1]]), /holds no weights; its keys are: epoch/],
    ['a list', [1], /holds no weights$/],
  ])('is refused if the value is %s', (_, value, message) => {
    expect(() => findStateDict('f.pth', value)).toThrow(message);
    expect(() => findStateDict('f.pth', value)).toThrow(CheckpointError);
  });
});
