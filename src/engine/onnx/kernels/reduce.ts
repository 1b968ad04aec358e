/** @file Kernels that reduce axes, and softmax along the last one. */
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs';
import type { LazyDtype } from '../../lazy/value.js';
import type { GraphBuilder } from '../graph_builder.js';
import { dtypeOf, type Kernel } from '../kernel.js';

interface ReduceAttributes {
  axes: number[];
}

function reducedShape(x: TensorInfo, axes: readonly number[], keepDims: unknown): number[] {
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  return keepDims ? kept : kept.filter((_, axis) => !axes.includes(axis));
}

type ReduceLowering = (g: GraphBuilder, x: string, axes: string, dtype: LazyDtype) => string;

/** A kernel {x}, {axis, keepDims} → y. `lower` keeps the reduced axes; the result is viewed without them where asked. */
function reduction(name: string, lower: ReduceLowering, result?: LazyDtype): Kernel {
  return {
    name,
    record: ({ x }, { axis, reductionIndices, keepDims }) => {
      const axes = util.parseAxisParam((axis ?? reductionIndices) as number | number[], x.shape);
      const shape = reducedShape(x, axes, keepDims);
      return { inputs: [x], attributes: { axes }, outputs: [{ shape, dtype: result ?? dtypeOf(x) }] };
    },
    lower: (g, [x], { attributes, outputs: [{ shape }] }) => {
      const { axes } = attributes as ReduceAttributes;
      const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
      // No axes at all would mean all of them to ONNX.
      const y = axes.length ? lower(g, x.name, g.ints(axes), x.dtype) : x.name;
      return `${kept}` === `${shape}` && kept.length === shape.length ? y : g.reshape(y, shape);
    },
  };
}

const reduce =
  (op: string): ReduceLowering =>
  (g, x, axes) =>
    g.op(op, [x, axes], { keepdims: 1 });

/** The largest or smallest; NaN wins, which ONNX leaves open. */
function extremum(name: string, op: string): Kernel {
  return reduction(name, (g, x, axes, dtype) => {
    if (dtype === 'bool') return g.cast(reduce(op)(g, g.cast(x, 'int32'), axes, 'int32'), 'bool');
    const extreme = reduce(op)(g, x, axes, dtype);
    if (dtype !== 'float32') return extreme;
    const hasNaN = g.op('ReduceMax', [g.cast(g.op('IsNaN', [x]), 'int32'), axes], { keepdims: 1 });
    return g.op('Where', [g.cast(hasNaN, 'bool'), g.scalar(Number.NaN), extreme]);
  });
}

function logical(name: string, op: string): Kernel {
  return reduction(name, (g, x, axes) =>
    g.cast(g.op(op, [g.cast(x, 'int32'), axes], { keepdims: 1 }), 'bool'),
  );
}

/** Index of the first extreme element along an axis. */
function argument(name: string, op: string): Kernel {
  return {
    name,
    record: ({ x }, { axis }) => {
      const [first] = util.parseAxisParam(axis as number, x.shape);
      const shape = x.shape.filter((_, i) => i !== first);
      return { inputs: [x], attributes: { axis: first }, outputs: [{ shape, dtype: 'int32' }] };
    },
    lower: (g, [x], { attributes }) => {
      const { axis } = attributes as { axis: number };
      const operand = x.dtype === 'bool' ? g.cast(x.name, 'int32') : x.name;
      return g.cast(g.op(op, [operand], { axis, keepdims: 0 }), 'int32');
    },
  };
}

function alongLast(name: string, op: string, operand: string): Kernel {
  return {
    name,
    record: (inputs, { dim, axis }) => {
      const x = inputs[operand];
      const last = x.shape.length - 1;
      const along = (dim ?? axis ?? -1) as number;
      util.assert(along === -1 || along === last, () => `${name} works along the last axis only`);
      return { inputs: [x], outputs: [{ shape: x.shape, dtype: 'float32' }] };
    },
    lower: (g, [x]) => {
      const float = x.dtype === 'float32' ? x.name : g.cast(x.name, 'float32');
      return x.shape.length === 0
        ? g.reshape(g.op(op, [g.reshape(float, [1])], { axis: -1 }), [])
        : g.op(op, [float], { axis: -1 });
    },
  };
}

/** Running sum along an axis. */
const cumsum: Kernel = {
  name: 'Cumsum',
  record: ({ x }, { axis, exclusive, reverse }) => {
    const attributes = { axis, exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 };
    return {
      inputs: [x],
      attributes,
      outputs: [{ shape: x.shape, dtype: backend_util.upcastType(x.dtype, 'int32') as LazyDtype }],
    };
  },
  lower: (g, [x], { attributes, outputs: [{ dtype }] }) => {
    const { axis, exclusive, reverse } = attributes as { axis: number; exclusive: number; reverse: number };
    const number = x.dtype === dtype ? x.name : g.cast(x.name, dtype);
    return g.op('CumSum', [number, g.scalar(axis, 'int32')], { exclusive, reverse });
  },
};

export const reduceKernels: Kernel[] = [
  reduction('Sum', (g, x, axes, dtype) => {
    if (dtype === 'bool') return reduce('ReduceSum')(g, g.cast(x, 'int32'), axes, 'int32');
    return reduce('ReduceSum')(g, x, axes, dtype);
  }),
  reduction(
    'Mean',
    (g, x, axes, dtype) =>
      reduce('ReduceMean')(g, dtype === 'float32' ? x : g.cast(x, 'float32'), axes, 'float32'),
    'float32',
  ),
  reduction('Prod', reduce('ReduceProd')),
  extremum('Max', 'ReduceMax'),
  extremum('Min', 'ReduceMin'),
  logical('All', 'ReduceMin'),
  logical('Any', 'ReduceMax'),
  argument('ArgMax', 'ArgMax'),
  argument('ArgMin', 'ArgMin'),
  alongLast('Softmax', 'Softmax', 'logits'),
  alongLast('LogSoftmax', 'LogSoftmax', 'logits'),
  cumsum,
];
