/** @file Lowerings of operations that reduce axes, and of softmax along the last one. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { LazyDtype } from '../../lazy/value.js';
import type { Builder } from '../ir/builder.js';
import { coordinatesOf, elementAt } from '../ir/coordinates.js';
import type { Expr } from '../ir/expr.js';
import type { ReduceOperator, View } from '../ir/tensor.js';
import { asNumber, elementsOf } from './elements.js';
import type { Lowering } from './lowering.js';

interface Reducing {
  readonly axes: readonly number[];
  readonly operator: ReduceOperator;
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
  /** What is reduced, of an element of x as a number. */
  readonly of?: (x: Expr) => Expr;
}

/** Reduces axes of x. Without elements the sum is 0 and the maximum the smallest number. */
function reduce(builder: Builder, x: View, { axes, operator, shape, dtype, of = (y) => y }: Reducing): View {
  const isReduced = x.shape.map((_, axis) => axes.includes(axis));
  const kept = x.shape.filter((_, axis) => !isReduced[axis]);
  const reduced = x.shape.filter((_, axis) => isReduced[axis]);
  const count = sizeOf(reduced);
  const body = (o: Expr, k: Expr) => {
    const [outer, inner] = [coordinatesOf(o, kept), coordinatesOf(k, reduced)];
    const coordinates = isReduced.map((is) => (is ? inner : outer).shift() as Expr);
    return of(asNumber(builder.load(x, elementAt(coordinates, x.shape, builder.int(0)))));
  };
  const info = { shape, dtype };
  if (count === 0 || sizeOf(shape) === 0) return builder.map(info, () => neutral(builder, operator, dtype));
  if (count === 1 && operator !== 'argMax') return builder.map(info, (o) => body(o, builder.int(0)));
  return builder.reduce(info, { operator, count }, body);
}

function neutral(builder: Builder, operator: ReduceOperator, dtype: LazyDtype): Expr {
  if (operator !== 'max') return builder.int(0);
  return dtype === 'float32' ? builder.float(Number.NEGATIVE_INFINITY) : builder.int(-(2 ** 31));
}

/** A sum or maximum in the type of x; of booleans it is computed with 0 and 1. */
const reduction =
  (operator: 'sum' | 'max'): Lowering =>
  (builder, [x], { attributes, outputs: [{ shape, dtype }] }) => {
    const { axes } = attributes as { axes: number[] };
    if (dtype !== 'bool') return reduce(builder, x, { axes, operator, shape, dtype });
    const number = reduce(builder, x, { axes, operator, shape, dtype: 'int32' });
    return elementsOf(builder, { shape, dtype }, (i) => builder.load(number, i));
  };

const mean: Lowering = (builder, [x], { attributes, outputs: [output] }) => {
  const { axes } = attributes as { axes: number[] };
  const count = sizeOf(axes.map((axis) => x.shape[axis]));
  const sum = reduce(builder, x, { ...output, axes, operator: 'sum', of: (y) => y.cast('float') });
  return elementsOf(builder, output, (i) => builder.load(sum, i).div(count));
};

/** NaN never counts. */
const argMax: Lowering = (builder, [x], { attributes, outputs: [output] }) => {
  const { axis } = attributes as { axis: number };
  return reduce(builder, x, {
    ...output,
    axes: [axis],
    operator: 'argMax',
    of: (y) => (y.type === 'float' ? y.isNaN().select(builder.float(Number.NEGATIVE_INFINITY), y) : y),
  });
};

const softmax: Lowering = (builder, [x], { outputs: [output] }) => {
  const { size } = x.tensor;
  if (size === 0) return elementsOf(builder, output, () => builder.int(0));
  const width = x.shape[x.shape.length - 1];
  return builder.rows(size / width, width, (row) => {
    const logit = builder.load(x, row.element).cast('float');
    const exponential = logit.sub(row.max(logit)).fn('exp');
    return [{ ...output, body: exponential.div(row.sum(exponential)) }];
  });
};

export const reduceLowerings: Readonly<Record<string, Lowering>> = {
  Sum: reduction('sum'),
  Mean: mean,
  Max: reduction('max'),
  ArgMax: argMax,
  Softmax: softmax,
};
