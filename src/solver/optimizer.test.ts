import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parameterOf, setGrad } from '../../test/support/solver_fixtures.js';
import { tf } from '../engine/tfjs.js';
import type { Parameter } from '../nn/module.js';
import { Adam, type AdamOptions } from './adam.js';
import { AdamW } from './adamw.js';
import type { Optimizer } from './optimizer.js';
import { SGD, type SgdOptions } from './sgd.js';

const ADAM: AdamOptions = { lr: 0.1, weightDecay: 0.1 };
const MOMENTUM: SgdOptions = { lr: 0.1, weightDecay: 0.1, momentum: 0.9 };

const group = (...parameters: Parameter[]) => ({
  name: 'all',
  params: parameters.map((parameter, i) => ({ name: `p${i}`, parameter })),
});
const values = (parameter: Parameter) => [...parameter.value.dataSync()];

/** The update rules for one number, in double precision, from their papers. */
function adamReference(
  start: number,
  grads: number[],
  decoupled: boolean,
  settings: Required<AdamOptions>,
): number {
  const { lr, weightDecay, betas, eps } = settings;
  let [w, m, v] = [start, 0, 0];
  for (const [i, raw] of grads.entries()) {
    const g = decoupled ? raw : raw + weightDecay * w;
    if (decoupled) w -= lr * weightDecay * w;
    m = betas[0] * m + (1 - betas[0]) * g;
    v = betas[1] * v + (1 - betas[1]) * g * g;
    const mHat = m / (1 - betas[0] ** (i + 1));
    const vHat = v / (1 - betas[1] ** (i + 1));
    w -= (lr * mHat) / (Math.sqrt(vHat) + eps);
  }
  return w;
}

function sgdReference(start: number, grads: number[], settings: Required<SgdOptions>): number {
  const { lr, weightDecay, momentum, dampening, nesterov } = settings;
  let w = start;
  let velocity: number | null = null;
  for (const raw of grads) {
    const g = raw + weightDecay * w;
    velocity = velocity === null ? g : momentum * velocity + (1 - dampening) * g;
    w -= lr * (nesterov ? g + momentum * velocity : velocity);
  }
  return w;
}

const small = fc.double({ min: -2, max: 2, noNaN: true }).map((x) => Math.fround(Math.round(x * 64) / 64));
const runs = fc.record({
  start: small,
  // Away from zero, where Adam turns the sign of rounding noise into a whole step.
  grads: fc.array(
    small.filter((g) => Math.abs(g) > 0.1),
    { minLength: 1, maxLength: 6 },
  ),
  lr: fc.double({ min: 1e-4, max: 0.1, noNaN: true }),
  // Powers of two, so that gradient and decay cancel in both precisions or in none.
  decay: fc.constantFrom(0, 1 / 64, 1 / 4),
});

function train(optimizer: Optimizer, parameter: Parameter, grads: number[]): number {
  for (const grad of grads) {
    setGrad(parameter, [grad]);
    optimizer.step();
    optimizer.zeroGrad();
  }
  const [value] = parameter.value.dataSync();
  optimizer.dispose();
  parameter.dispose();
  return value;
}

describe('an optimizer in double precision', () => {
  it.each([true, false])('gives the same weights as Adam with decoupled weight decay: %s', (decoupled) => {
    fc.assert(
      fc.property(runs, fc.constantFrom(0, 0.5, 0.9), ({ start, grads, lr, decay }, beta1) => {
        const betas = [beta1, 0.999] as const;
        const settings = { lr, weightDecay: decay, betas, eps: 1e-8, applyLrScale: true };
        const parameter = parameterOf([start]);
        const optimizer = new (decoupled ? AdamW : Adam)([group(parameter)], settings);
        const expected = adamReference(start, grads, decoupled, settings);
        expect(Math.abs(train(optimizer, parameter, grads) - expected)).toBeLessThan(2e-5);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same weights as SGD', () => {
    fc.assert(
      fc.property(
        runs,
        fc.constantFrom([0, 0, false], [0.9, 0, false], [0.9, 0.5, false], [0.9, 0, true]),
        ({ start, grads, lr, decay }, [momentum, dampening, nesterov]) => {
          const settings = { lr, weightDecay: decay, momentum, dampening, nesterov } as Required<SgdOptions>;
          const parameter = parameterOf([start]);
          const expected = sgdReference(start, grads, settings);
          const value = train(new SGD([group(parameter)], settings), parameter, grads);
          expect(Math.abs(value - expected)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the constructor of an optimizer', () => {
  it('accepts a plain list of parameters, with the defaults of PyTorch', () => {
    const parameters = [parameterOf([1]), parameterOf([2])];
    const optimizer = new AdamW(parameters);
    expect(optimizer.defaults).toEqual({ lr: 1e-3, weight_decay: 0.01, betas: [0.9, 0.999], eps: 1e-8 });
    expect(optimizer.paramGroups.map(({ name }) => name)).toEqual(['0']);
    expect(optimizer.paramGroups[0].params.map(({ name }) => name)).toEqual(['0', '1']);
    expect(new Adam(parameters).defaults.weight_decay).toBe(0);
    const plain = { lr: 1e-3, weight_decay: 0, momentum: 0, dampening: 0, nesterov: false };
    expect(new SGD(parameters).defaults).toEqual(plain);
  });

  it('accepts groups with settings of their own', () => {
    const [a, b] = [parameterOf([1]), parameterOf([2])];
    const optimizer = new SGD(
      [
        { params: [a], lr: 0.5 },
        { params: [b], weight_decay: 0.2 },
      ],
      { lr: 0.1 },
    );
    expect(optimizer.paramGroups.map(({ lr, weight_decay }) => [lr, weight_decay])).toEqual([
      [0.5, 0],
      [0.1, 0.2],
    ]);
    expect(optimizer.paramGroups.map(({ name, params }) => [name, params[0].name])).toEqual([
      ['0', '0'],
      ['1', '1'],
    ]);
  });
});

describe('a step of an optimizer', () => {
  it('moves by the learning rate at first, however small the gradient (AdamW)', () => {
    const parameter = parameterOf([0, 0, 0]);
    const optimizer = new AdamW([group(parameter)], { ...ADAM, weightDecay: 0 });
    setGrad(parameter, [1e-3, -1e3, 0]);
    optimizer.step();
    const [up, down, still] = values(parameter);
    expect(up).toBeCloseTo(-0.1, 5);
    expect(down).toBeCloseTo(0.1, 5);
    expect(still).toBe(0);
  });

  it('uses the current learning rate and weight decay of the group', () => {
    const parameter = parameterOf([1]);
    const optimizer = new SGD([group(parameter)], { ...MOMENTUM, momentum: 0, weightDecay: 0 });
    const [settings] = optimizer.paramGroups;
    setGrad(parameter, [1]);
    optimizer.step();
    settings.lr = 0.5;
    optimizer.step();
    settings.weight_decay = 2;
    optimizer.step();
    // 1 − 0.1 − 0.5, then − 0.5·(1 + 2·0.4)
    expect(values(parameter)[0]).toBeCloseTo(-0.5, 6);
  });

  it('multiplies by lr_scale unless that is switched off, and leaves the group unchanged', () => {
    for (const [apply, expected] of [
      [true, -0.05],
      [false, -0.1],
    ] as const) {
      const parameter = parameterOf([0]);
      const settings = { ...MOMENTUM, momentum: 0, weightDecay: 0, applyLrScale: apply };
      const optimizer = new SGD([{ ...group(parameter), lr_scale: 0.5 }], settings);
      setGrad(parameter, [1]);
      optimizer.step();
      expect(values(parameter)[0]).toBeCloseTo(expected, 7);
      expect(optimizer.paramGroups[0].lr).toBe(0.1);
      expect(optimizer.effectiveLr(optimizer.paramGroups[0])).toBeCloseTo(-expected, 12);
    }
  });

  it.each(['adamw', 'sgd'])('changes neither a parameter without gradient nor its state (%s)', (method) => {
    const [a, b] = [parameterOf([1]), parameterOf([1])];
    const groups = [group(a, b)];
    const optimizer = method === 'adamw' ? new AdamW(groups, ADAM) : new SGD(groups, MOMENTUM);
    setGrad(a, [1]);
    optimizer.step();
    expect(values(b)).toEqual([1]);
    expect(optimizer.stateOf(b)).toBeUndefined();
    setGrad(b, [1]);
    setGrad(a, null);
    const before = { value: values(a), state: optimizer.stateOf(a) };
    optimizer.step();
    expect(values(a)).toEqual(before.value);
    expect(optimizer.stateOf(a)).toBe(before.state);
    expect(values(b)[0]).not.toBe(1);
  });

  it('refuses a gradient of another shape', () => {
    const parameter = parameterOf([1, 1]);
    const optimizer = new AdamW([group(parameter)], ADAM);
    parameter.grad = tf.tensor([1, 1, 1, 1], [2, 2]);
    expect(() => optimizer.step()).toThrow();
    expect(values(parameter)).toEqual([1, 1]);
  });

  it('keeps the number of tensors, also inside a tidy', () => {
    const makers = [
      (g: ReturnType<typeof group>) => new AdamW([g], ADAM),
      (g: ReturnType<typeof group>) => new Adam([g], ADAM),
      (g: ReturnType<typeof group>) => new SGD([g], { ...MOMENTUM, nesterov: true }),
      (g: ReturnType<typeof group>) => new SGD([g], { ...MOMENTUM, weightDecay: 0 }),
      (g: ReturnType<typeof group>) => new SGD([g], { ...MOMENTUM, momentum: 0 }),
    ];
    for (const make of makers) {
      const start = tf.memory();
      const parameters = [parameterOf([1, 2, 3]), parameterOf([4])];
      const optimizer = make(group(...parameters));
      const step = () => {
        for (const parameter of parameters) setGrad(parameter, new Array(parameter.size).fill(0.5));
        optimizer.step();
        optimizer.zeroGrad();
      };
      step();
      const { numTensors, numBytes } = tf.memory();
      for (let i = 0; i < 3; i++) step();
      tf.tidy(step);
      step();
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(tf.memory().numBytes).toBe(numBytes);
      expect(parameters.every(({ grad }) => grad === null)).toBe(true);
      optimizer.dispose();
      for (const parameter of parameters) parameter.dispose();
      expect(tf.memory().numTensors).toBe(start.numTensors);
      expect(tf.memory().numDataBuffers).toBe(start.numDataBuffers);
    }
  });

  it('leaves the gradients unchanged', () => {
    const parameter = parameterOf([1]);
    const optimizer = new SGD([group(parameter)], { ...MOMENTUM, weightDecay: 0 });
    setGrad(parameter, [3]);
    optimizer.step();
    optimizer.step();
    expect([...parameter.grad!.dataSync()]).toEqual([3]);
  });

  it('refuses the same parameter twice', () => {
    const parameter = parameterOf([1]);
    expect(() => new SGD([group(parameter, parameter)], MOMENTUM)).toThrow(/p1 is in the optimizer twice/);
  });
});
