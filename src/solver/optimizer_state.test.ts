import { describe, expect, it } from 'vitest';
import { parameterOf, plain, setGrad } from '../../test/support/solver_fixtures.js';
import { tf } from '../engine/tfjs.js';
import { CheckpointError } from '../errors.js';
import { float32Tensor, type HostTensor } from '../formats/host_tensor.js';
import { PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import type { Parameter } from '../nn/module.js';
import { Adam } from './adam.js';
import { AdamW } from './adamw.js';
import type { Optimizer } from './optimizer.js';
import { describeDifference } from './setting_differences.js';
import { SGD } from './sgd.js';

const adamSettings = { lr: 0.5, weightDecay: 0.25, betas: [0.9, 0.999] as const, eps: 1e-8 };
const sgdSettings = { lr: 0.5, weightDecay: 0.25, momentum: 0.5, dampening: 0, nesterov: false };

function groupsOf(parameters: Parameter[]) {
  const [a, b, c] = parameters.map((parameter, i) => ({ name: 'abc'[i], parameter }));
  return [
    { name: 'first', params: [a], weight_decay: 0, lr_scale: 0.5 },
    { name: 'rest', params: [b, c] },
  ];
}
const makeParameters = () => [parameterOf([1, 2], [1, 2]), parameterOf([3]), parameterOf([4])];

function stepOnce(optimizer: Optimizer, parameters: Parameter[]): void {
  for (const [i, parameter] of parameters.entries()) {
    // The last one never has a gradient.
    setGrad(parameter, i === 2 ? null : new Array(parameter.size).fill(i + 1));
  }
  optimizer.step();
  optimizer.zeroGrad();
}

/** What PyTorch 1.13 would hold for these three parameters under AdamW, as a reader gives it. */
function torchState(changes: { group?: Record<string, PyValue>; entry?: Record<string, PyValue> } = {}) {
  const tensor = (shape: number[], ...data: number[]) => float32Tensor(shape, Float32Array.from(data));
  const common: [PyValue, PyValue][] = [
    ['lr', 0.01],
    ['betas', new PyTuple([0.8, 0.99])],
    ['eps', 1e-6],
    ['weight_decay', 0.125],
    ['amsgrad', false],
    ['foreach', null],
    ['maximize', false],
    ['capturable', false],
    ['initial_lr', 0.1],
  ];
  const group = (params: number[], more: Record<string, PyValue>) =>
    new Map<PyValue, PyValue>([...common, ...Object.entries(more), ['params', params]]);
  const entry = {
    step: tensor([], 7),
    exp_avg: tensor([1, 2], 0.5, -0.5),
    exp_avg_sq: tensor([1, 2], 0.25, 0.25),
    ...changes.entry,
  };
  return new Map<PyValue, PyValue>([
    ['state', new Map<PyValue, PyValue>([[0, new Map(Object.entries(entry))]])],
    [
      'param_groups',
      [group([0], { lr_scale: 0.5, weight_decay: 0, ...changes.group }), group([1, 2], changes.group ?? {})],
    ],
  ]);
}

describe('the state dict of an optimizer', () => {
  it("has PyTorch's entries and types (AdamW)", () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    stepOnce(optimizer, parameters);
    optimizer.paramGroups[0].initial_lr = 1;
    const state = optimizer.stateDict();
    const groups = state.get('param_groups') as Record<string, PyValue>[];
    expect(groups[0]).toEqual({
      name: 'first',
      lr: new PyFloat(0.5),
      weight_decay: new PyFloat(0),
      betas: new PyTuple([new PyFloat(0.9), new PyFloat(0.999)]),
      eps: new PyFloat(1e-8),
      lr_scale: new PyFloat(0.5),
      initial_lr: new PyFloat(1),
      apply_lr_scale: true,
      amsgrad: false,
      maximize: false,
      foreach: null,
      capturable: false,
      differentiable: false,
      fused: null,
      decoupled_weight_decay: true,
      param_names: ['a'],
      params: [0],
    });
    expect(groups[1].params).toEqual([1, 2]);
    expect(groups[1]).not.toHaveProperty('lr_scale');
    const entries = state.get('state') as Map<PyValue, Record<string, HostTensor>>;
    expect([...entries.keys()]).toEqual([0, 1]);
    expect(Object.keys(entries.get(0)!)).toEqual(['step', 'exp_avg', 'exp_avg_sq']);
    expect(plain(entries.get(0)!.step)).toEqual({ shape: [], values: [1] });
    expect(entries.get(0)!.exp_avg).toMatchObject({ dtype: 'float32', shape: [1, 2] });
    expect(entries.get(1)!.exp_avg.bytes().byteLength).toBe(4);
  });

  it('holds momentum only if there is any (SGD)', () => {
    for (const momentum of [0, 0.5]) {
      const parameters = makeParameters();
      const optimizer = new SGD(groupsOf(parameters), { ...sgdSettings, momentum });
      stepOnce(optimizer, parameters);
      const state = optimizer.stateDict().get('state') as Map<PyValue, PyValue>;
      expect([...state.keys()]).toEqual(momentum === 0 ? [] : [0, 1]);
      if (momentum) expect(Object.keys(state.get(0) as object)).toEqual(['momentum_buffer']);
    }
  });

  it('is read from the engine on request, and not after the next step', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    stepOnce(optimizer, parameters);
    const state = optimizer.stateDict().get('state') as Map<PyValue, Record<string, HostTensor>>;
    expect(state.get(0)!.exp_avg.bytes().byteLength).toBe(8);
    stepOnce(optimizer, parameters);
    expect(() => state.get(0)!.exp_avg.bytes()).toThrow(/disposed/);
  });

  it('continues bit for bit', () => {
    const kinds = [
      (p: Parameter[]) => new AdamW(groupsOf(p), adamSettings),
      (p: Parameter[]) => new Adam(groupsOf(p), adamSettings),
      (p: Parameter[]) => new SGD(groupsOf(p), { ...sgdSettings, dampening: 0.5 }),
      (p: Parameter[]) => new SGD(groupsOf(p), { ...sgdSettings, momentum: 0 }),
    ];
    for (const make of kinds) {
      const parameters = makeParameters();
      const optimizer = make(parameters);
      stepOnce(optimizer, parameters);
      const copies = parameters.map((parameter) => parameterOf(parameter.value.dataSync(), parameter.shape));
      const other = make(copies);
      expect(other.loadStateDict(optimizer.stateDict())).toEqual([]);
      for (let i = 0; i < 2; i++) {
        stepOnce(optimizer, parameters);
        stepOnce(other, copies);
      }
      const all = (list: Parameter[]) => list.map((parameter) => [...parameter.value.dataSync()]);
      expect(all(copies)).toEqual(all(parameters));
      expect(plain(other.stateDict())).toEqual(plain(optimizer.stateDict()));
    }
  });
});

describe("loading PyTorch's state", () => {
  it('restores the settings and the state of the file, and names the settings', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    const differences = optimizer.loadStateDict(torchState());
    expect(optimizer.paramGroups[0]).toMatchObject({
      name: 'first',
      lr: 0.01,
      initial_lr: 0.1,
      lr_scale: 0.5,
      weight_decay: 0,
      betas: [0.8, 0.99],
      eps: 1e-6,
    });
    expect(optimizer.stateOf(parameters[0])!.steps).toBe(7);
    expect([...optimizer.stateOf(parameters[0])!.buffers.exp_avg.dataSync()]).toEqual([0.5, -0.5]);
    expect(optimizer.stateOf(parameters[1])).toBeUndefined();
    expect(differences.map(describeDifference)).toEqual([
      'initial_lr is 0.1 from the checkpoint; the configuration asks for 0.5',
      'betas is [0.8, 0.99] from the checkpoint; the configuration asks for [0.9, 0.999]',
      'eps is 0.000001 from the checkpoint; the configuration asks for 1e-8',
      'weight_decay (rest) is 0.125 from the checkpoint; the configuration asks for 0.25',
    ]);
  });

  it('replaces existing state, without leaving tensors behind', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    const before = tf.memory().numTensors;
    stepOnce(optimizer, parameters);
    optimizer.loadStateDict(torchState());
    expect(tf.memory().numTensors).toBe(before + 2);
  });

  it('loads what it saved itself', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    stepOnce(optimizer, parameters);
    const state = plain(optimizer.stateDict());
    const { numTensors } = tf.memory();
    optimizer.loadStateDict(optimizer.stateDict());
    expect(plain(optimizer.stateDict())).toEqual(state);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('reads steps that are plain numbers and state that is a plain object', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    const state = torchState({ entry: { step: 3 } });
    const object = Object.fromEntries(state as Map<string, PyValue>);
    object.state = Object.fromEntries(
      Array.from(state.get('state') as Map<PyValue, PyValue>, ([k, v]) => [String(k), v]),
    );
    optimizer.loadStateDict(object);
    expect(optimizer.stateOf(parameters[0])!.steps).toBe(3);
  });

  it('pairs parameters by their position in the groups', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    const state = torchState();
    const [first, rest] = state.get('param_groups') as Map<PyValue, PyValue>[];
    first.set('params', [40]);
    rest.set('params', [0, 41]);
    const entries = state.get('state') as Map<PyValue, PyValue>;
    entries.set(40, entries.get(0)!);
    entries.delete(0);
    optimizer.loadStateDict(state);
    expect(optimizer.stateOf(parameters[0])!.steps).toBe(7);
    expect(optimizer.stateOf(parameters[1])).toBeUndefined();
  });

  it('saves unknown entries again', () => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    optimizer.loadStateDict(torchState({ group: { foreach: true, from_elsewhere: 'kept' } }));
    const groups = plain(optimizer.stateDict().get('param_groups')!) as Record<string, unknown>[];
    expect(groups[1]).toMatchObject({ foreach: true, from_elsewhere: 'kept', name: 'rest' });
  });

  it('keeps the configured lr_scale if the file has none', () => {
    const optimizer = new AdamW(groupsOf(makeParameters()), adamSettings);
    const state = torchState();
    (state.get('param_groups') as Map<PyValue, PyValue>[])[0].delete('lr_scale');
    optimizer.loadStateDict(state);
    expect(optimizer.paramGroups[0].lr_scale).toBe(0.5);
  });

  it('treats an empty momentum buffer of PyTorch 1.13 as missing', () => {
    const parameters = makeParameters();
    const optimizer = new SGD(groupsOf(parameters), sgdSettings);
    stepOnce(optimizer, parameters);
    const state = optimizer.stateDict();
    (state.get('state') as Map<PyValue, PyValue>).set(0, new Map([['momentum_buffer', null]]));
    optimizer.loadStateDict(state);
    expect(optimizer.stateOf(parameters[0])).toBeUndefined();
    expect(optimizer.stateOf(parameters[1])).toBeDefined();
  });
});

describe('a state that does not fit', () => {
  const cases: [string, () => PyValue, RegExp][] = [
    ['no dictionary', () => [], /optimizer state: expected a dictionary, found a list/],
    ['no groups', () => new Map([['state', new Map()]]), /param_groups: expected a list, found nothing/],
    [
      'another number of groups',
      () =>
        new Map<PyValue, PyValue>([
          ['state', new Map()],
          ['param_groups', []],
        ]),
      /does not fit this run: it has 0 parameter groups, this run has 2 \(first, rest\)$/,
    ],
    [
      'another size of a group',
      () => {
        const state = torchState();
        (state.get('param_groups') as Map<PyValue, PyValue>[])[1].set('params', [1]);
        return state;
      },
      /group 1 has 1 parameters, "rest" of this run has 2/,
    ],
    [
      'other names',
      () => {
        const state = torchState();
        (state.get('param_groups') as Map<PyValue, PyValue>[])[1].set('param_names', ['b', 'x']);
        return state;
      },
      /parameter 1 of its group "rest" is x, of this run c/,
    ],
    [
      'another shape',
      () => torchState({ entry: { exp_avg: float32Tensor([2, 1], new Float32Array(2)) } }),
      /optimizer state of a, exp_avg: expected a tensor of shape \[1,2\], found a float32 tensor of shape \[2,1\]/,
    ],
    ['no second moment', () => torchState({ entry: { exp_avg_sq: null } }), /state of a lacks exp_avg_sq/],
    [
      'a broken step',
      () => torchState({ entry: { step: 1.5 } }),
      /step: expected a whole number from 0, found 1.5/,
    ],
    ['a text as rate', () => torchState({ group: { lr: 'fast' } }), /lr: expected a number, found "fast"/],
    ['bad betas', () => torchState({ group: { betas: [0.9, 2] } }), /group "first": betas \[0.9, 2\]/],
    ['amsgrad', () => torchState({ group: { amsgrad: true } }), /amsgrad, which is not supported/],
    ['maximize', () => torchState({ group: { maximize: true } }), /maximize, which is not supported/],
  ];
  it.each(cases)('is refused for %s, and changes nothing', (_, state, message) => {
    const parameters = makeParameters();
    const optimizer = new AdamW(groupsOf(parameters), adamSettings);
    stepOnce(optimizer, parameters);
    const before = plain(optimizer.stateDict());
    const load = () => optimizer.loadStateDict(state());
    expect(load).toThrow(CheckpointError);
    expect(load).toThrow(message);
    expect(plain(optimizer.stateDict())).toEqual(before);
  });

  it('is refused if it belongs to another kind of optimizer', () => {
    const sgd = new SGD(groupsOf(makeParameters()), sgdSettings);
    expect(() => sgd.loadStateDict(torchState())).toThrow(
      /has no "momentum", which SOLVER.OPTIMIZING_METHOD sgd needs/,
    );
  });
});
