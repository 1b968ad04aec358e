/** @file Expressions have the same values before and after they are simplified, and indices become short. */
import { describe, expect, it } from 'vitest';
import { exprText } from '../../../../test/support/expr_text.js';
import { evaluate } from '../../../../test/support/expr_value.js';
import { sizeOf } from '../../../formats/host_tensor.js';
import { Rng } from '../../../util/random.js';
import { broadcastElement, coordinatesOf, elementAt } from './coordinates.js';
import type { Expr } from './expr.js';
import { ExprPool } from './expr_pool.js';
import { substitute } from './rewrite.js';

const noLoads = () => {
  throw new Error('there is nothing to load');
};

/** A way to find an element of a tensor by that of another, as an expression and in numbers. */
interface Move {
  readonly shape: readonly number[];
  readonly index: (i: Expr) => Expr;
  readonly number: (i: number) => number;
}

/** The coordinates of an element, computed plainly. */
function plainCoordinates(i: number, shape: readonly number[]): number[] {
  const coordinates: number[] = [];
  let rest = i;
  for (const extent of shape.toReversed()) {
    coordinates.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return coordinates;
}

const plainElement = (coordinates: readonly number[], shape: readonly number[]) =>
  coordinates.reduce((sum, coordinate, axis) => sum * shape[axis] + coordinate, 0);

/** Coordinates of the operand for those of the result, with the same functions for expressions and for numbers. */
type Coordinates = <T>(
  coordinates: readonly T[],
  arithmetic: { add(x: T, y: number): T; mod(x: T, y: number): T },
) => T[];

function moveOf(shape: readonly number[], source: readonly number[], coordinates: Coordinates): Move {
  return {
    shape,
    index: (i) => {
      const moved = coordinates(coordinatesOf(i, shape), {
        add: (x, y) => x.add(y),
        mod: (x, y) => x.mod(y),
      });
      return elementAt(moved, source, i.pool.constant(0, 'int'));
    },
    number: (i) =>
      plainElement(
        coordinates(plainCoordinates(i, shape), { add: (x, y) => x + y, mod: (x, y) => x % y }),
        source,
      ),
  };
}

function randomReshape(rng: Rng, size: number): number[] {
  const shape: number[] = [];
  let rest = size;
  for (let n = rng.int(4); n > 0; n--) {
    const divisors = Array.from({ length: rest }, (_, d) => d + 1).filter((d) => rest % d === 0);
    shape.push(divisors[rng.int(divisors.length)]);
    rest /= shape[shape.length - 1];
  }
  return [...shape, rest];
}

/** A transposition, slice or repetition of a tensor of this shape. */
function randomMove(rng: Rng, source: readonly number[]): Move {
  const kind = rng.int(4);
  if (kind === 0) {
    const perm = rng.permutation(source.length);
    return moveOf(
      perm.map((axis) => source[axis]),
      source,
      (coordinates) => source.map((_, axis) => coordinates[perm.indexOf(axis)]),
    );
  }
  if (kind === 1) {
    const begin = source.map((extent) => rng.int(extent));
    return moveOf(
      source.map((extent, axis) => 1 + rng.int(extent - begin[axis])),
      source,
      (coordinates, { add }) => coordinates.map((x, axis) => add(x, begin[axis])),
    );
  }
  if (kind === 2 && sizeOf(source) < 200) {
    const reps = source.map(() => 1 + rng.int(2));
    return moveOf(
      source.map((extent, axis) => extent * reps[axis]),
      source,
      (coordinates, { mod }) => coordinates.map((x, axis) => mod(x, source[axis])),
    );
  }
  const shape = randomReshape(rng, sizeOf(source));
  return { shape, index: (i) => i, number: (i) => i };
}

/** Moves after each other: element i of the last result is the element index(i) of the first tensor. */
function randomChain(rng: Rng): Move[] {
  const extents = [1, 2, 3, 4, 6, 8];
  let shape = Array.from({ length: 1 + rng.int(4) }, () => extents[rng.int(extents.length)]);
  return Array.from({ length: 1 + rng.int(5) }, () => {
    const move = randomMove(rng, shape);
    shape = [...move.shape];
    return move;
  });
}

const indexOf = (chain: readonly Move[], i: Expr) => chain.reduceRight((index, move) => move.index(index), i);
const numberOf = (chain: readonly Move[], i: number) =>
  chain.reduceRight((index, move) => move.number(index), i);
const lastSize = (chain: readonly Move[]) => sizeOf(chain[chain.length - 1].shape);

describe('an index', () => {
  it('of chains of reshapes, transpositions, slices and repetitions has the right value', () => {
    const rng = new Rng(1);
    for (let n = 0; n < 800; n++) {
      const chain = randomChain(rng);
      const size = lastSize(chain);
      const i = new ExprPool().index('i', size);
      const index = indexOf(chain, i);
      for (let at = 0; at < size; at++) {
        const value = evaluate(index, new Map([[i, at]]), noLoads);
        if (value !== numberOf(chain, at)) expect.fail(`${exprText(index)} is ${value} at ${at}`);
        if (value < index.range.min || value > index.range.max)
          expect.fail(`${exprText(index)} is ${value}, outside of its range`);
      }
    }
  });

  it('has the right value in parts of four elements', () => {
    const rng = new Rng(2);
    for (let n = 0; n < 400; n++) {
      const chain = randomChain(rng);
      const size = lastSize(chain);
      if (size % 4 !== 0) continue;
      const pool = new ExprPool();
      const [j, v] = [pool.index('j', size / 4), pool.index('v', 4)];
      const index = indexOf(chain, j.mul(4).add(v));
      for (let at = 0; at < size; at++) {
        const values = new Map([
          [j, Math.floor(at / 4)],
          [v, at % 4],
        ]);
        const value = evaluate(index, values, noLoads);
        if (value !== numberOf(chain, at)) expect.fail(`${exprText(index)} is ${value} at ${at}`);
      }
    }
  });

  const pool = new ExprPool();
  const i = pool.index('i', 4096);
  const [j, v] = [pool.index('j', 1024), pool.index('v', 4)];
  const inFours = j.mul(4).add(v);
  const x = pool.index('x', 64);
  it.each<[string, Expr, string]>([
    ['joins quotient and remainder', i.div(64).mul(64).add(i.mod(64)), 'i'],
    ['joins digits', i.div(512).mul(64).add(i.div(8).mod(64)), '(i / 8)'],
    ['joins three digits', i.div(512).mul(512).add(i.div(8).mod(64).mul(8)).add(i.mod(8)), 'i'],
    ['joins digits under a modulus', i.div(8).mod(4).mul(8).add(i.mod(8)), '(i % 32)'],
    ['divides a quotient', i.div(8).div(16), '(i / 128)'],
    ['divides a remainder', i.mod(64).div(8), '((i / 8) % 8)'],
    ['takes the remainder of a remainder', i.mod(64).mod(16), '(i % 16)'],
    ['divides a sum of known parts', x.mul(64).add(i.mod(64)).div(64), 'x'],
    ['takes the remainder of a sum', x.mul(64).add(i.mod(64)).mod(64), '(i % 64)'],
    ['drops what is too small', x.div(64), '0'],
    ['subtracts what is known', x.add(64).mod(64), 'x'],
    ['adds what is known', x.add(64).div(64), '1'],
    ['cancels terms', i.add(x).sub(i), 'x'],
    ['computes constants', pool.constant(17, 'int').div(5).add(pool.constant(17, 'int').mod(5)), '5'],
    ['finds a bias of vectors of four', inFours.mod(64), '(v + 4*(j % 16))'],
    ['finds the row of vectors of four', inFours.div(64), '(j / 16)'],
    ['joins digits of vectors of four', inFours.div(64).mul(64).add(inFours.mod(64)), '(4*j + v)'],
    ['compares vectors of four', inFours.lt(64), '(j < 16)'],
    ['compares the row', i.div(64).lt(16), '(i < 1024)'],
    ['compares the row from below', i.div(64).ge(16), '(1024 <= i)'],
    ['compares without constants', i.add(5).lt(16), '(i < 11)'],
    ['knows comparisons by the range', x.lt(64), '1'],
    ['guards nothing that is in range', x.guarded(i.lt(64), 64), 'x'],
  ])('%s', (_, expr, text) => {
    expect(exprText(expr)).toBe(text);
  });

  it('rounds towards zero where it may be negative', () => {
    const difference = x.sub(10);
    for (let at = 0; at < 64; at++) {
      const values = () => new Map([[x, at]]);
      expect(evaluate(difference.div(4), values(), noLoads)).toBe(Math.trunc((at - 10) / 4) + 0);
      expect(evaluate(difference.mod(4), values(), noLoads)).toBe(((at - 10) % 4) + 0);
      expect(evaluate(difference.lt(-3), values(), noLoads)).toBe(Number(at - 10 < -3));
      expect(evaluate(difference.mul(4).add(3).le(-5), values(), noLoads)).toBe(
        Number(4 * (at - 10) + 3 <= -5),
      );
    }
  });

  it('has a range that a guard tells', () => {
    const index = i.sub(32).guarded(i.ge(32).and(i.lt(96)), 64);
    expect(index.range).toEqual({ min: 0, max: 63 });
    expect(index.div(64).constant).toBe(0);
  });

  it('has the right values of random sums, quotients and comparisons', () => {
    const rng = new Rng(3);
    for (let n = 0; n < 1000; n++) {
      const pool = new ExprPool();
      const variables = [pool.index('a', 1 + rng.int(9)), pool.index('b', 1 + rng.int(9))];
      const { expr, plain } = randomExpression(rng, pool, variables, 4);
      for (let a = 0; a <= variables[0].range.max; a++) {
        for (let b = 0; b <= variables[1].range.max; b++) {
          const values = new Map([
            [variables[0], a],
            [variables[1], b],
          ]);
          const value = evaluate(expr, values, noLoads);
          if (value !== plain(a, b)) expect.fail(`${exprText(expr)} is ${value}, not ${plain(a, b)}`);
          if (value < expr.range.min || value > expr.range.max) expect.fail(`${exprText(expr)} is ${value}`);
        }
      }
    }
  });
});

interface Formula {
  readonly expr: Expr;
  readonly plain: (a: number, b: number) => number;
}

function randomExpression(rng: Rng, pool: ExprPool, variables: readonly Expr[], depth: number): Formula {
  if (depth === 0 || rng.int(8) === 0) {
    const which = rng.int(2);
    return { expr: variables[which], plain: (...values) => values[which] };
  }
  const x = randomExpression(rng, pool, variables, depth - 1);
  const c = [1, 2, 3, 4, 8, 12][rng.int(6)];
  const y = rng.int(2) ? randomExpression(rng, pool, variables, depth - 1) : null;
  const other = y ?? { expr: pool.constant(c, 'int'), plain: () => c };
  const formulas: Formula[] = [
    { expr: x.expr.mul(c), plain: (a, b) => x.plain(a, b) * c },
    { expr: x.expr.add(other.expr), plain: (a, b) => x.plain(a, b) + other.plain(a, b) },
    { expr: x.expr.sub(other.expr), plain: (a, b) => x.plain(a, b) - other.plain(a, b) },
    { expr: x.expr.div(c), plain: (a, b) => Math.trunc(x.plain(a, b) / c) + 0 },
    { expr: x.expr.mod(c), plain: (a, b) => (x.plain(a, b) % c) + 0 },
    { expr: x.expr.max(other.expr), plain: (a, b) => Math.max(x.plain(a, b), other.plain(a, b)) },
    { expr: x.expr.min(other.expr), plain: (a, b) => Math.min(x.plain(a, b), other.plain(a, b)) },
    { expr: x.expr.lt(other.expr).cast('int'), plain: (a, b) => Number(x.plain(a, b) < other.plain(a, b)) },
    { expr: x.expr.ge(other.expr).cast('int'), plain: (a, b) => Number(x.plain(a, b) >= other.plain(a, b)) },
    { expr: x.expr.eq(other.expr).cast('int'), plain: (a, b) => Number(x.plain(a, b) === other.plain(a, b)) },
    {
      expr: x.expr.lt(c).select(x.expr, other.expr),
      plain: (a, b) => (x.plain(a, b) < c ? x.plain(a, b) : other.plain(a, b)),
    },
  ];
  return formulas[rng.int(formulas.length)];
}

describe('an element that is broadcast', () => {
  it.each<[readonly number[], readonly number[], string]>([
    [[8, 4, 6], [8, 4, 6], 'i'],
    [[8, 4, 6], [6], '(i % 6)'],
    [[8, 4, 6], [4, 6], '(i % 24)'],
    [[8, 4, 6], [8, 1, 1], '(i / 24)'],
    [[8, 4, 6], [8, 4, 1], '(i / 6)'],
    [[8, 4, 6], [4, 1], '((i / 6) % 4)'],
    [[8, 4, 6], [], '0'],
  ])('of %j from %j has the index %s', (result, shape, text) => {
    const i = new ExprPool().index('i', sizeOf(result));
    expect(exprText(broadcastElement(i, result, shape))).toBe(text);
  });
});

describe('a number', () => {
  const pool = new ExprPool();
  it.each<[string, Expr, number]>([
    ['is rounded to float32', pool.constant(0.1, 'float'), Math.fround(0.1)],
    ['is cut to an integer', pool.constant(-2.7, 'int'), -2],
    ['has no negative zero as an integer', pool.constant(-0.5, 'int'), 0],
    ['overflows like 32-bit integers', pool.constant(2 ** 31 - 1, 'int').mul(2 ** 31 - 1), 1],
    ['overflows in sums', pool.constant(2 ** 31 - 1, 'int').add(1), -(2 ** 31)],
    ['is cast from NaN', pool.constant(Number.NaN, 'float').cast('int'), 0],
  ])('%s', (_, expr, value) => {
    expect(expr.constant).toBe(value);
  });
});

it('keeps the range of a guarded index when a variable is replaced', () => {
  const pool = new ExprPool();
  const [i, j] = [pool.index('i', 128), pool.index('j', 128)];
  const guarded = (x: Expr) => x.sub(32).guarded(x.ge(32).and(x.lt(96)), 64);
  expect(substitute(guarded(i), new Map([[i, j]]))).toBe(guarded(j));
});

it('replaces a variable once where an index of an index is the variable itself', () => {
  const i = new ExprPool().index('i', 8);
  const transposed = (index: Expr, [rows, columns]: readonly number[]) =>
    elementAt(
      coordinatesOf(index, [rows, columns]).reverse(),
      [columns, rows],
      index.pool.constant(0, 'int'),
    );
  const there = transposed(i, [4, 2]);
  expect(there).not.toBe(i);
  expect(substitute(transposed(i, [2, 4]), new Map([[i, there]]))).toBe(i);
});
