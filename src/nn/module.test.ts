/** @file Parameters and modules: names, order, values, modes, memory. */
import { describe, expect, it } from 'vitest';
import { tf } from '../engine/tfjs.js';
import { normal, ones, zeros } from './init.js';
import { Linear, Relu, Sequential } from './layers.js';
import { initializeParameters, Module, Parameter } from './module.js';

class Leaf extends Module {
  readonly weight = new Parameter([2, 3], normal);
  readonly bias: Parameter | undefined;

  constructor(withBias: boolean) {
    super();
    if (withBias) this.bias = new Parameter([3], zeros);
  }
}

class Tree extends Module {
  readonly token = new Parameter([1], ones);
  readonly first = new Leaf(true);
  readonly blocks = [new Leaf(false), new Leaf(true)];
  readonly name = 'not a parameter';
  readonly numbers = [1, 2];
  readonly head = new Sequential([new Linear(3, 2), new Relu(), new Linear(2, 1, { bias: false })]);
}

const valuesOf = (module: Module) =>
  new Map(Array.from(module.namedParameters(), ([name, p]) => [name, Array.from(p.value.dataSync())]));

describe('Module', () => {
  it('names its parameters by fields and indices, in the order of the fields', () => {
    expect(Array.from(new Tree().namedParameters(), ([name, { shape }]) => [name, shape])).toEqual([
      ['token', [1]],
      ['first.weight', [2, 3]],
      ['first.bias', [3]],
      ['blocks.0.weight', [2, 3]],
      ['blocks.1.weight', [2, 3]],
      ['blocks.1.bias', [3]],
      ['head.0.weight', [2, 3]],
      ['head.0.bias', [2]],
      ['head.2.weight', [1, 2]],
    ]);
  });

  it('switches training on and off in all sub-modules', () => {
    const tree = new Tree();
    const modes = () =>
      [tree, tree.first, ...tree.blocks, tree.head, ...tree.head.layers].map((m) => m.training);
    expect(new Set(modes())).toEqual(new Set([true]));
    expect(tree.train(false)).toBe(tree);
    expect(new Set(modes())).toEqual(new Set([false]));
    tree.train();
    expect(new Set(modes())).toEqual(new Set([true]));
  });
});

describe('initializeParameters', () => {
  it('depends on the seed and the name of a parameter only', () => {
    const [tree, again, other, leaf] = [new Tree(), new Tree(), new Tree(), new Leaf(true)];
    initializeParameters(tree, 7);
    initializeParameters(again, 7);
    initializeParameters(other, 8);
    initializeParameters(leaf, 7);
    expect(valuesOf(again)).toEqual(valuesOf(tree));
    expect(valuesOf(other).get('first.weight')).not.toEqual(valuesOf(tree).get('first.weight'));
    expect(valuesOf(tree).get('blocks.0.weight')).not.toEqual(valuesOf(tree).get('blocks.1.weight'));

    // The same name in another module: the same numbers, wherever it stands.
    const wrapped = new Sequential([new Linear(3, 2)]);
    const alone = new Sequential([new Linear(3, 2), new Linear(2, 2)]);
    initializeParameters(wrapped, 7);
    initializeParameters(alone, 7);
    expect(valuesOf(alone).get('0.weight')).toEqual(valuesOf(wrapped).get('0.weight'));
    for (const module of [tree, again, other, leaf, wrapped, alone]) module.dispose();
  });

  it('leaves existing values unchanged', () => {
    const leaf = new Leaf(true);
    leaf.weight.set(Float32Array.of(1, 2, 3, 4, 5, 6));
    initializeParameters(leaf, 1);
    expect(valuesOf(leaf).get('weight')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(valuesOf(leaf).get('bias')).toEqual([0, 0, 0]);
    leaf.dispose();
  });
});

describe('Parameter', () => {
  it('has a shape and a size before it has a value', () => {
    const parameter = new Parameter([4, 0, 2], zeros);
    expect([parameter.size, parameter.isInitialized, new Parameter([], zeros).size]).toEqual([0, false, 1]);
    expect(() => parameter.value).toThrow(/before it was initialised/);
  });

  it('refuses data of another size', () => {
    expect(() => new Parameter([2, 3], zeros).set(new Float32Array(5))).toThrow('5 values for shape [2,3]');
  });

  it('copies the data that it is set to, and keeps its identity on the engine', () => {
    const parameter = new Parameter([3], zeros);
    const data = Float32Array.of(1, 2, 3);
    parameter.set(data);
    const { value } = parameter;
    data.fill(9);
    expect(Array.from(parameter.value.dataSync())).toEqual([1, 2, 3]);
    const next = Float32Array.of(4, 5, 6);
    parameter.set(next);
    next.fill(9);
    expect(Array.from(parameter.value.dataSync())).toEqual([4, 5, 6]);
    expect(parameter.value).toBe(value);
    parameter.dispose();
  });

  it('outlives a tidy and frees everything when it is disposed', () => {
    const before = tf.memory().numTensors;
    const parameter = new Parameter([2], ones);
    tf.tidy(() => parameter.set(Float32Array.of(1, 2)));
    parameter.set(Float32Array.of(3, 4));
    parameter.grad = tf.zeros([2]);
    expect(Array.from(parameter.value.dataSync())).toEqual([3, 4]);
    parameter.dispose();
    expect(parameter.isInitialized).toBe(false);
    expect(parameter.grad).toBeNull();
    expect(tf.memory().numTensors).toBe(before);
    parameter.dispose();
  });
});
