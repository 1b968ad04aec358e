/** @file Operations that move elements, against tfjs's plain backend. */
import { describe, expect, it } from 'vitest';
import {
  bools,
  lower,
  type Operands,
  operationTests,
  random,
} from '../../../../test/support/cuda_lowering.js';
import { exprText } from '../../../../test/support/expr_text.js';
import { shapeKernels } from '../../record/kernels/shape.js';

const { run, check } = operationTests(shapeKernels, 0);

/** The expression of the result, null if it is the operand itself. */
function exprOf(name: string, given: Operands, attributes = {}): string | null {
  const [{ tensor }] = lower(shapeKernels, name, given, attributes).views;
  return tensor.definition.kind === 'map' ? exprText(tensor.definition.body) : null;
}

const TYPES = ['float32', 'int32', 'bool'] as const;

describe('Transpose', () => {
  it.each(TYPES)('of %s', (dtype) => {
    for (const perm of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 2, 0],
      [2, 0, 1],
    ])
      check('Transpose', { x: random([2, 3, 4], dtype) }, { perm });
    check('Transpose', { x: random([2, 0, 4], dtype) }, { perm: [2, 1, 0] });
    check('Transpose', { x: random([], dtype) }, { perm: [] });
  });

  it('moves nothing if only axes of length 1 move', () => {
    expect(exprOf('Transpose', { x: random([2, 1, 3]) }, { perm: [1, 0, 2] })).toBeNull();
    check('Transpose', { x: random([2, 1, 3]) }, { perm: [1, 0, 2] });
  });

  it('joins axes that stay together', () => {
    const given = { x: random([2, 3, 4, 5]) };
    expect(exprOf('Transpose', given, { perm: [2, 3, 0, 1] })).toBe('t0[((i / 6) + 20*(i % 6))]');
  });
});

describe('Slice', () => {
  it.each(TYPES)('of %s', (dtype) => {
    const x = random([3, 4, 5], dtype);
    check('Slice', { x }, { begin: [0, 0, 0], size: [3, 4, 5] });
    check('Slice', { x }, { begin: [1, 2, 3], size: [2, 1, 2] });
    check('Slice', { x }, { begin: [1, 0, 0], size: [-1, -1, -1] });
    check('Slice', { x }, { begin: [1, 0, 0], size: [0, 4, 5] });
  });

  it('has a short index along one axis', () => {
    expect(exprOf('Slice', { x: random([8, 4]) }, { begin: [2, 0], size: [3, 4] })).toBe('t0[(i + 8)]');
  });
});

describe('Concat', () => {
  it.each([0, 1, 2])('along axis %i', (axis) => {
    for (const count of [1, 2, 3, 8, 9, 20]) {
      const parts = Array.from({ length: count }, (_, n) => {
        const shape = [2, 3, 4];
        shape[axis] = 1 + (n % 3);
        return random(shape, 'float32', n + 1);
      });
      check('Concat', parts, { axis });
    }
  });

  it('leaves out empty parts', () => {
    check('Concat', [random([2, 0]), random([2, 3]), random([2, 0])], { axis: 1 });
    check('Concat', [random([2, 0]), random([2, 0])], { axis: 1 });
    check('Concat', [random([0, 2]), random([0, 3])], { axis: 1 });
  });

  it('of integers and booleans', () => {
    check('Concat', [random([2], 'int32'), random([3], 'int32', 2)], { axis: 0 });
    check('Concat', [random([2], 'bool'), random([3], 'bool', 2)], { axis: 0 });
  });

  it('never has an expression that reads more than eight tensors', () => {
    const parts = Array.from({ length: 70 }, (_, n) => random([2, 1], 'float32', n + 1));
    check('Concat', parts, { axis: 1 });
    for (const { definition } of lower(shapeKernels, 'Concat', parts, { axis: 1 }).builder.tensors) {
      if (definition.kind !== 'map') continue;
      const loads = exprText(definition.body).match(/t\d+\[/g) ?? [];
      expect(loads.length).toBeLessThanOrEqual(8);
    }
  });
});

it.each([0, 1, 2, -1])('Pack along axis %i', (axis) => {
  for (const count of [1, 2, 10])
    check(
      'Pack',
      Array.from({ length: count }, (_, n) => random([2, 3], 'float32', n + 1)),
      { axis },
    );
  check('Pack', [random([2, 3], 'bool'), random([2, 3], 'bool', 2)], { axis });
});

it('packs scalars', () => {
  check('Pack', [random([]), random([], 'float32', 2)], { axis: 0 });
});

it.each([0, 1, 2])('SplitV along axis %i', (axis) => {
  check('SplitV', { x: random([6, 6, 6]) }, { numOrSizeSplits: [1, 3, 2], axis });
  check('SplitV', { x: random([6, 6, 6], 'int32') }, { numOrSizeSplits: 3, axis });
  check('SplitV', { x: random([6, 6, 6]) }, { numOrSizeSplits: [0, 6], axis });
  check('SplitV', { x: random([6, 6, 6]) }, { numOrSizeSplits: 1, axis });
});

it.each([0, 1, 2])('Unpack along axis %i', (axis) => {
  check('Unpack', { value: random([2, 3, 4]) }, { axis });
  check('Unpack', { value: random([1, 1, 1], 'bool') }, { axis });
});

describe('PadV2', () => {
  const paddings = [
    [1, 0],
    [0, 2],
  ];
  it('of each type', () => {
    check('PadV2', { x: random([2, 3]) }, { paddings, constantValue: 1.5 });
    check('PadV2', { x: random([2, 3], 'int32') }, { paddings, constantValue: -2 });
    check('PadV2', { x: random([2, 3], 'bool') }, { paddings, constantValue: 0 });
    expect(run('PadV2', { x: bools([1], [0]) }, { paddings: [[1, 1]], constantValue: 1 })[0].data).toEqual([
      1, 0, 1,
    ]);
  });

  it('of empty tensors and of scalars', () => {
    check('PadV2', { x: random([0, 3]) }, { paddings, constantValue: 1.5 });
    check('PadV2', { x: random([]) }, { paddings: [], constantValue: 1.5 });
    check(
      'PadV2',
      { x: random([2, 3]) },
      {
        paddings: [
          [0, 0],
          [0, 0],
        ],
        constantValue: 1.5,
      },
    );
  });
});

it.each(TYPES)('Tile of %s', (dtype) => {
  check('Tile', { x: random([2, 3], dtype) }, { reps: [2, 1] });
  check('Tile', { x: random([2, 3], dtype) }, { reps: [1, 3] });
  check('Tile', { x: random([2, 3], dtype) }, { reps: [3, 2] });
  check('Tile', { x: random([2, 3], dtype) }, { reps: [1, 1] });
  expect(run('Tile', { x: random([2, 3], dtype) }, { reps: [0, 2] })[0]).toMatchObject({
    shape: [0, 6],
    data: [],
  });
});

it('keeps the storage of what it moves', () => {
  const narrow = { ...random([2, 4]), storage: 'bfloat16' as const };
  const storage = (name: string, given: Operands, attributes: object) =>
    lower(shapeKernels, name, given, attributes).views[0].tensor.storage;
  expect(storage('Transpose', { x: narrow }, { perm: [1, 0] })).toBe('bfloat16');
  expect(storage('Slice', { x: narrow }, { begin: [0, 1], size: [2, 2] })).toBe('bfloat16');
  expect(storage('Concat', [narrow, narrow], { axis: 0 })).toBe('bfloat16');
  expect(storage('Concat', [narrow, random([2, 4])], { axis: 0 })).toBe('float32');
  expect(storage('Tile', { x: random([2], 'bool') }, { reps: [2] })).toBe('bool');
});
