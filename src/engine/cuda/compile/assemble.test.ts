/** @file How many launches the tensors of a program take. */
import { expect, it } from 'vitest';
import { Builder } from '../ir/builder.js';
import type { View } from '../ir/tensor.js';
import { assemble } from './assemble.js';
import type { KernelLaunch } from './program.js';

function launchesOf(build: (b: Builder, input: (shape: readonly number[]) => View) => readonly View[]) {
  const builder = new Builder();
  let count = 0;
  const results = build(builder, (shape) => builder.input(count++, { shape, dtype: 'float32' }));
  const outputs = results.map(({ tensor }) => tensor);
  return assemble({ builder, outputs }).launches as readonly KernelLaunch[];
}

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

it('adds up long columns in parts, whose neighbours are computed by neighbouring threads', () => {
  const launches = launchesOf((b, input) => [columnSums(b, input([2048, 768]), input([2048]))]);
  expect(launches.map(({ name }) => name.replace(/_\d+/, ''))).toEqual(['reduce', 'reduce']);
});

it('computes small results that nothing else needs in one launch at the end', () => {
  const launches = launchesOf((b, input) => {
    const results: View[] = [];
    let x = input([100, 256]);
    for (let layer = 0; layer < 6; layer++) {
      results.push(columnSums(b, x, input([100])));
      // A row needs all elements of the row before.
      [x] = b.rows(100, 256, (row) => {
        const value = b.load(x, row.element);
        return [{ shape: [100, 256], dtype: 'float32', body: value.sub(row.sum(value)) }];
      });
    }
    return [...results, x];
  });
  // The sums share the launch of the last rows, which they do not need.
  expect(launches.map(({ name }) => name.replace(/_\d+/, ''))).toEqual([
    ...Array.from({ length: 5 }, () => 'rows'),
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
