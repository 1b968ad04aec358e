/** @file How many launches the tensors of a program take. */
import { describe, expect, it } from 'vitest';
import { Builder } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { assemble } from './assemble.js';
import type { KernelLaunch, Program } from './program.js';

type Build = (b: Builder, input: (shape: readonly number[]) => View) => readonly View[];

function programOf(build: Build): Program {
  const builder = new Builder();
  let count = 0;
  const results = build(builder, (shape) => builder.input(count++, { shape, dtype: 'float32' }));
  return assemble({ builder, outputs: results.map(({ tensor }) => tensor) });
}

const launchesOf = (build: Build) => programOf(build).launches as readonly KernelLaunch[];

/** A tensor whose elements are `factor` times those of x. */
function scaled(b: Builder, x: View, factor: number): View {
  return b.map({ shape: x.shape, dtype: 'float32' }, (i) => b.load(x, i).mul(factor));
}

/** The sums over the rows of x [rows, columns], each row times its weight. */
function columnSums(b: Builder, x: View, weight: View): View {
  const [count, columns] = x.shape;
  return b.reduce({ shape: [columns], dtype: 'float32' }, { operator: 'sum', count }, (o, k) =>
    b.load(x, k.mul(columns).add(o)).mul(b.load(weight, k)),
  );
}

const kindsOf = (launches: readonly KernelLaunch[]) => launches.map(({ name }) => name.replace(/_\d+/, ''));

it.each([
  [2048, 768],
  [163_840, 64],
])('adds up long columns [%i, %i] in parts, and the parts of a column side by side', (rows, columns) => {
  const launches = launchesOf((b, input) => [columnSums(b, input([rows, columns]), input([rows]))]);
  expect(kindsOf(launches)).toEqual(['reduce', 'rows']);
  const threads = launches.map(({ grid, block }) => grid[0] * block);
  expect(threads[0]).toBeGreaterThanOrEqual((rows * columns) / 128);
  expect(threads[1]).toBeGreaterThanOrEqual(32 * columns);
});

/** Sums over the columns of rows [rows, 256], six times, between which the rows change. */
const sumsOfLayers =
  (rows: number): Build =>
  (b, input) => {
    const results: View[] = [];
    let x = input([rows, 256]);
    for (let layer = 0; layer < 6; layer++) {
      results.push(columnSums(b, x, input([rows])));
      // A row needs all elements of the row before.
      [x] = b.rows(rows, 256, (row) => {
        const value = b.load(x, row.element);
        return [{ shape: [rows, 256], dtype: 'float32', body: value.sub(row.sum(value)) }];
      });
    }
    return [...results, x];
  };

it('computes small results that nothing else needs in one launch at the end', () => {
  // The sums share the launch of the last rows, which they do not need.
  expect(kindsOf(launchesOf(sumsOfLayers(100)))).toEqual([
    ...Array.from({ length: 5 }, () => 'rows'),
    'joint',
  ]);
});

it('adds up the parts of long columns in one launch at the end', () => {
  expect(kindsOf(launchesOf(sumsOfLayers(5000)))).toEqual([
    ...Array.from({ length: 6 }, () => ['reduce', 'rows']).flat(),
    'joint',
  ]);
});

it('runs small kernels side by side if none needs another', () => {
  const shapes = [[3], [500], [7, 300]];
  const launches = launchesOf((b, input) => shapes.map((shape) => scaled(b, input(shape), 2)));
  expect(launches).toHaveLength(1);
  expect(launches[0].grid[0]).toBe(1 + 1 + 3);
});

it('runs a kernel after those that it needs, and large ones on their own', () => {
  const needing = launchesOf((b, input) => {
    const [x, y] = [scaled(b, input([500]), 2), scaled(b, input([300]), 3)];
    const sum = b.map({ shape: [200], dtype: 'float32' }, (i) => b.load(x, i).add(b.load(y, i.add(1))));
    return [x, y, sum];
  });
  expect(needing).toHaveLength(2);
  const large = launchesOf((b, input) =>
    [2 ** 19, 2 ** 19 + 4].map((size, n) => scaled(b, input([size]), n)),
  );
  expect(large).toHaveLength(2);
});

it('updates tensors of equal and of different sizes in one launch', () => {
  const launches = launchesOf((b, input) => {
    const rate = input([1]);
    return [64, 64, 1000, 2 ** 20].map((size) => {
      const x = input([size]);
      return b.map({ shape: [size], dtype: 'float32' }, (i) => b.load(x, i).mul(b.load(rate, b.int(0))));
    });
  });
  expect(launches).toHaveLength(1);
  expect(launches[0].name).toMatch(/^batch/);
});

describe('a result', () => {
  const inPlace = (build: Build) => programOf(build).outputs.map(({ inPlaceOf }) => inPlaceOf);

  /** Momentum, and a weight that it changes. */
  const update: Build = (b, input) => {
    const [weight, grad, momentum] = [input([64]), input([64]), input([64])];
    const at = (view: View, i: Expr) => b.load(view, i);
    const next = (i: Expr) => at(momentum, i).mul(0.9).add(at(grad, i));
    const info = { shape: [64], dtype: 'float32' } as const;
    return [b.map(info, (i) => at(weight, i).sub(next(i))), b.map(info, next)];
  };

  it('may be written over an input of which each thread reads the elements that it writes', () => {
    expect(inPlace(update)).toEqual([0, 2]);
    const { source } = programOf(update);
    // The compiler must know that they may be the same.
    expect(source.match(/__restrict__/g)).toHaveLength(1);
  });

  it('takes no input of which another thread, or a later kernel, reads elements', () => {
    const reversed: Build = (b, input) => {
      const x = input([64]);
      return [
        b.map({ shape: [64], dtype: 'float32' }, (i) => b.load(x, i).add(b.load(x, i.mul(-1).add(63)))),
      ];
    };
    expect(inPlace(reversed)).toEqual([null]);
    const readLater: Build = (b, input) => {
      const x = input([2 ** 20]);
      const y = scaled(b, x, 2);
      return [
        y,
        b.reduce({ shape: [], dtype: 'float32' }, { operator: 'sum', count: 2 ** 20 }, (_, k) =>
          b.load(x, k),
        ),
      ];
    };
    expect(inPlace(readLater)).toEqual([null, null]);
  });

  it('takes no input of another size, nor one that another result has', () => {
    const twice: Build = (b, input) => {
      const x = input([64]);
      return [scaled(b, x, 2), scaled(b, x, 3)];
    };
    expect(inPlace(twice)).toEqual([0, null]);
    const part: Build = (b, input) => {
      const x = input([64]);
      return [b.map({ shape: [32], dtype: 'float32' }, (i) => b.load(x, i))];
    };
    expect(inPlace(part)).toEqual([null]);
  });
});
