/** @file Operations that work element by element, against tfjs's plain backend. */
import { describe, expect, it } from 'vitest';
import {
  bools,
  expectClose,
  expectedOf,
  floats,
  ints,
  lower,
  type Operands,
  operationTests,
  random,
} from '../../../../test/support/cuda_lowering.js';
import { exprText } from '../../../../test/support/expr_text.js';
import { elementwiseKernels } from '../../record/kernels/elementwise.js';

/** tfjs computes erf by a formula with this error, and other functions in float64. */
const TOLERANCE = 3e-7;
const { run, check } = operationTests(elementwiseKernels, TOLERANCE);

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const SPECIAL = [nan, inf, -inf, 0, -0, 1, -1, 0.5, -2.5, 1e-8, -1e-8, 1e30, -20, 88, 3];
const INTEGERS = [0, 1, -1, 7, -7, 20, 1000];
const attributes = { alpha: 0.25 };

describe('a function of one operand', () => {
  const typed = ['Abs', 'Neg', 'Relu', 'Sign', 'Square', 'Step'];
  const real = ['Cos', 'Erf', 'Exp', 'Floor', 'Log', 'Log1p', 'Rsqrt', 'Sigmoid', 'Sin', 'Sqrt'];

  it.each([...typed, ...real])('%s of floats', (name) => {
    const wild = ['Cos', 'Sin'].includes(name) ? SPECIAL.filter((x) => x !== 1e30) : SPECIAL;
    check(name, { x: floats([wild.length], wild) }, attributes);
    check(name, { x: random([2, 3, 4]) }, attributes);
    check(name, { x: random([]) }, attributes);
    check(name, { x: floats([0, 3], []) }, attributes);
  });

  it.each(typed)('%s of integers', (name) => {
    check(name, { x: ints([INTEGERS.length], INTEGERS) }, attributes);
  });

  it.each(real)('%s of integers gives floats', (name) => {
    const [result] = run(name, { x: ints([INTEGERS.length], INTEGERS) });
    expectClose(result, expectedOf(name, { x: floats([INTEGERS.length], INTEGERS) })[0], TOLERANCE);
  });

  it('Exp of integers is computed in float64', () => {
    expect(exprOf('Exp', { x: ints([3], [1, 2, 3]) })).toBe('exp64(float(t0[i]))');
    expect(exprOf('Exp', { x: floats([3], [1, 2, 3]) })).toBe('exp(t0[i])');
  });

  it('keeps NaN, and gives 0 for negative zero, in Relu', () => {
    const [{ data }] = run('Relu', { x: floats([3], [nan, -0, -1]) });
    expect(data).toEqual([nan, 0, 0]);
  });

  it('computes with booleans as 0 and 1', () => {
    const x = bools([2], [0, 1]);
    for (const name of ['Abs', 'Neg', 'Relu', 'Sign', 'Square'])
      expect(run(name, { x })[0].data).toEqual([0, 1]);
    check('LogicalNot', { x });
  });
});

/** The expression of the result. */
function exprOf(name: string, given: Operands): string {
  const [{ tensor }] = lower(elementwiseKernels, name, given).views;
  if (tensor.definition.kind !== 'map') throw new Error(`it is a ${tensor.definition.kind}`);
  return exprText(tensor.definition.body);
}

/** All pairs of these numbers, as two lists. */
function pairs(numbers: readonly number[]): [number[], number[]] {
  return [numbers.flatMap((x) => numbers.map(() => x)), numbers.flatMap(() => numbers)];
}

describe('a function of two operands', () => {
  const arithmetic = ['Add', 'Sub', 'Multiply', 'Maximum', 'Minimum', 'FloorDiv'];
  const comparisons = ['Equal', 'Greater', 'GreaterEqual', 'Less', 'LessEqual'];
  const shapes: [number[], number[]][] = [
    [
      [2, 3, 4],
      [2, 3, 4],
    ],
    [[2, 3, 4], [4]],
    [
      [2, 1, 4],
      [3, 1],
    ],
    [[], [2, 2]],
    [[1, 3], [3]],
    [
      [0, 3],
      [1, 3],
    ],
  ];

  it.each([...arithmetic, ...comparisons, 'RealDiv', 'Pow'])('%s of floats', (name) => {
    const numbers = name === 'Pow' || name === 'FloorDiv' ? [0.5, 2, 3, -2, 1.5] : SPECIAL;
    const [a, b] = pairs(numbers);
    check(name, { a: floats([a.length], a), b: floats([b.length], b) });
    for (const [first, second] of shapes) check(name, { a: random(first), b: random(second, 'float32', 2) });
  });

  it.each([...arithmetic, ...comparisons])('%s of integers', (name) => {
    const [a, b] = pairs(name === 'FloorDiv' ? INTEGERS.filter((x) => x !== 0) : INTEGERS);
    check(name, { a: ints([a.length], a), b: ints([b.length], b) });
  });

  it('Pow of integers', () => {
    const [a, b] = pairs([0, 1, 2, 3, 7]);
    check('Pow', { a: ints([a.length], a), b: ints([b.length], b) });
    const [{ data }] = run('Pow', { a: ints([5], [2, -1, -1, 1, -3]), b: ints([5], [-1, -3, -2, -5, 3]) });
    expect(data).toEqual([0, -1, 1, 1, -27]);
  });

  it('FloorDiv rounds down, gives 0 for a division by 0, and overflows like 32-bit integers', () => {
    const [a, b] = [
      [-(2 ** 31), 5, -7, -7, 0],
      [-1, 0, 2, -2, 0],
    ];
    expect(run('FloorDiv', { a: ints([5], a), b: ints([5], b) })[0].data).toEqual([-(2 ** 31), 0, -4, 3, 0]);
    const zeros = run('FloorDiv', { a: floats([3], [1, -1, nan]), b: floats([3], [0, 0, 1]) });
    expect(zeros[0]).toMatchObject({ dtype: 'int32', data: [0, 0, 0] });
  });

  it.each(['LogicalAnd', 'Multiply', 'Maximum', 'Minimum', ...comparisons])('%s of booleans', (name) => {
    check(name, { a: bools([2, 1], [0, 1]), b: bools([2], [0, 1]) });
  });

  it('gives booleans in sums of booleans', () => {
    const given = { a: bools([2, 1], [0, 1]), b: bools([2], [0, 1]) };
    expect(run('Add', given)[0]).toMatchObject({ dtype: 'bool', data: [0, 1, 1, 1] });
    expect(run('Sub', given)[0]).toMatchObject({ dtype: 'bool', data: [0, 1, 1, 0] });
  });

  it('uses the number of the element itself where shapes are equal', () => {
    expect(exprOf('Add', { a: random([4, 6]), b: random([4, 6]) })).toBe('(t0[i] + t1[i])');
    expect(exprOf('Add', { a: random([1, 4, 6]), b: random([4, 6]) })).toBe('(t0[i] + t1[i])');
    expect(exprOf('Add', { a: random([4, 6]), b: random([6]) })).toBe('(t0[i] + t1[(i % 6)])');
  });
});

describe('Cast', () => {
  const types = ['float32', 'int32', 'bool'] as const;
  it.each(types.flatMap((from) => types.map((to) => [from, to] as const)))('from %s to %s', (from, to) => {
    check('Cast', { x: random([3, 4], from) }, { dtype: to });
  });

  it('rounds towards zero, and gives 0 for NaN and the infinities', () => {
    const numbers = [nan, inf, -inf, 2.9, -2.9, -0.5, 0, 2 ** 24 + 2];
    check('Cast', { x: floats([numbers.length], numbers) }, { dtype: 'int32' });
    check('Cast', { x: floats([numbers.length], numbers) }, { dtype: 'bool' });
  });
});

describe('Select', () => {
  it('chooses elements', () => {
    const given = {
      condition: bools([2, 3], [1, 0, 1, 0, 0, 1]),
      t: random([2, 3]),
      e: random([2, 3], 'float32', 2),
    };
    check('Select', given);
    check('Select', { condition: bools([], [1]), t: random([]), e: random([], 'float32', 2) });
    check('Select', { condition: bools([3], [1, 0, 1]), t: random([3], 'bool'), e: random([3], 'bool', 2) });
  });

  it('chooses rows by a condition of rank 1', () => {
    const [t, e] = [ints([2, 2, 1], [1, 2, 3, 4]), ints([2, 2, 1], [5, 6, 7, 8])];
    expect(run('Select', { condition: bools([2], [1, 0]), t, e })[0].data).toEqual([1, 2, 7, 8]);
  });
});

it.each(['float32', 'int32'] as const)('AddN of %s', (dtype) => {
  for (const count of [1, 2, 5])
    check(
      'AddN',
      Array.from({ length: count }, (_, n) => random([2, 3], dtype, n + 1)),
    );
});

describe('the storage', () => {
  const narrow = { ...random([2, 4]), storage: 'bfloat16' as const };
  const wide = random([2, 4]);
  const storageOf = (name: string, given: Operands) =>
    lower(elementwiseKernels, name, given, attributes).views[0].tensor.storage;

  it('is that of the operands in arithmetic', () => {
    expect(storageOf('Add', { a: narrow, b: narrow })).toBe('bfloat16');
    expect(storageOf('Add', { a: narrow, b: wide })).toBe('float32');
    expect(storageOf('Add', { a: narrow, b: random([4]) })).toBe('bfloat16');
    expect(storageOf('Relu', { x: narrow })).toBe('bfloat16');
    expect(storageOf('Select', { condition: bools([2, 4], Array(8).fill(1)), t: narrow, e: narrow })).toBe(
      'bfloat16',
    );
    expect(storageOf('Less', { a: narrow, b: narrow })).toBe('bool');
  });

  it('is float32 for other functions', () => {
    for (const name of ['Exp', 'Log', 'Sqrt', 'Sigmoid'])
      expect(storageOf(name, { x: narrow })).toBe('float32');
    expect(storageOf('RealDiv', { a: narrow, b: narrow })).toBe('float32');
  });
});
