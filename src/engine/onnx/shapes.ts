/** @file Shape and type inference for the ONNX operators that the kernels' lowerings use. */
import {
  ELEMENT_TYPE,
  type ElementType,
  type OnnxConstant,
  type OnnxGraph,
  type OnnxNode,
} from './model_format.js';

/** Shape and type of a value in an ONNX graph. */
export interface OnnxInfo {
  readonly shape: readonly number[];
  readonly type: ElementType;
  /** The content, for constant lists of integers: shapes, axes, bounds. */
  readonly ints?: readonly number[];
}

/** Shape and type of a constant, and the content of a list of integers. */
export function infoOfConstant({ shape, type, bytes }: OnnxConstant): OnnxInfo {
  if (type !== 'int64') return { shape, type };
  const values = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  return { shape, type, ints: Array.from(values, Number) };
}

type Inputs = readonly OnnxInfo[];
type Rule = (inputs: Inputs, node: OnnxNode) => OnnxInfo[];

/** Returns the shapes and types of a node's results. Throws if there is no rule for its operator. */
export function inferResults(node: OnnxNode, inputs: Inputs): OnnxInfo[] {
  if (node.results) return node.results.map(({ shape, dtype }) => ({ shape, type: dtype }));
  const rule = RULES[node.op];
  if (!rule) throw new Error(`no shape inference for the ONNX operator ${node.op}`);
  return rule(inputs, node);
}

/** Returns the shapes and types of all values of a graph, by name. Throws if there is no rule for an operator. */
export function inferGraph({
  nodes,
  inputs,
  constants,
}: Pick<OnnxGraph, 'nodes' | 'inputs' | 'constants'>): Map<string, OnnxInfo> {
  const infos = new Map<string, OnnxInfo>(inputs.map(({ name, shape, type }) => [name, { shape, type }]));
  for (const constant of constants) infos.set(constant.name, infoOfConstant(constant));
  for (const node of nodes) {
    const operands = node.inputs.map((name) => infos.get(name) as OnnxInfo);
    for (const [i, info] of inferResults(node, operands).entries()) infos.set(node.outputs[i], info);
  }
  return infos;
}

/** Returns the shape of a broadcast, by NumPy's rules. */
function broadcast(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const extents = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
}

/** A single result. */
const one = (shape: readonly number[], type: ElementType): OnnxInfo[] => [{ shape, type }];
const likeFirst: Rule = ([x]) => one(x.shape, x.type);
const elementwise: Rule = (inputs) => one(broadcast(inputs.map(({ shape }) => shape)), inputs[0].type);
const toBool: Rule = (inputs) => one(broadcast(inputs.map(({ shape }) => shape)), 'bool');

const attribute = ({ attributes }: OnnxNode, name: string, standard = 0) =>
  (attributes[name] as number | undefined) ?? standard;
const list = ({ attributes }: OnnxNode, name: string) => attributes[name] as readonly number[] | undefined;
const axisOf = (node: OnnxNode, { shape: { length } }: OnnxInfo) =>
  (attribute(node, 'axis') + length) % length;
const withExtent = (shape: readonly number[], axis: number, extent: number) =>
  shape.map((whole, i) => (i === axis ? extent : whole));

/** Batch axes and matrix of an operand; `isBatchInside` if the batch axes come after the matrix's first axis. */
function batchAndMatrix(shape: readonly number[], isBatchInside: boolean): readonly (readonly number[])[] {
  if (isBatchInside) return [shape.slice(1, -1), [shape[0], shape[shape.length - 1]]];
  return [shape.slice(0, -2), shape.slice(-2)];
}

const matMul: Rule = ([a, b], node) => {
  const [batchA, matrixA] = batchAndMatrix(a.shape, attribute(node, 'transBatchA') === 1);
  const [batchB, matrixB] = batchAndMatrix(b.shape, attribute(node, 'transBatchB') === 1);
  const rows = matrixA[attribute(node, 'transA') ? 1 : 0];
  const columns = matrixB[attribute(node, 'transB') ? 0 : 1];
  return one([...broadcast([batchA, batchB]), rows, columns], a.type);
};

const reduction: Rule = ([x, axes], node) => {
  const reduced = (axis: number) => axes.ints?.includes(axis);
  const kept = x.shape.map((extent, axis) => (reduced(axis) ? 1 : extent));
  return one(attribute(node, 'keepdims', 1) ? kept : kept.filter((_, axis) => !reduced(axis)), x.type);
};

const argMax: Rule = ([x], node) =>
  one(
    x.shape.filter((_, axis) => axis !== axisOf(node, x)),
    'int64',
  );

const cast: Rule = ([x], node) => {
  const [type] = Object.entries(ELEMENT_TYPE).find(([, number]) => number === attribute(node, 'to')) ?? [];
  return one(x.shape, type as ElementType);
};

const slice: Rule = ([x, starts, ends, axes]) => {
  let { shape } = x;
  for (const [i, axis] of (axes.ints ?? []).entries())
    shape = withExtent(shape, axis, Math.min(shape[axis], ends.ints?.[i] ?? 0) - (starts.ints?.[i] ?? 0));
  return one(shape, x.type);
};

const pad: Rule = ([x, { ints = [] }]) =>
  one(
    x.shape.map((extent, axis) => extent + ints[axis] + ints[axis + x.shape.length]),
    x.type,
  );

const layerNormalization: Rule = ([x], node) => {
  const statistics = { shape: withExtent(x.shape, x.shape.length - 1, 1), type: x.type };
  return [{ shape: x.shape, type: x.type }, statistics, statistics].slice(0, node.outputs.length);
};

/** Extents of [B, C, D, H, W] after a convolution. */
const conv: Rule = ([x, filter], node) => {
  const strides = list(node, 'strides') ?? [1, 1, 1];
  const dilations = list(node, 'dilations') ?? [1, 1, 1];
  const pads = list(node, 'pads') ?? [0, 0, 0, 0, 0, 0];
  const extents = x.shape.slice(2).map((extent, i) => {
    const reach = dilations[i] * (filter.shape[i + 2] - 1);
    return Math.floor((extent + pads[i] + pads[i + 3] - reach - 1) / strides[i]) + 1;
  });
  return one([x.shape[0], filter.shape[0], ...extents], x.type);
};

const convTranspose: Rule = ([x, filter], node) => {
  const [strides, pads, added] = ['strides', 'pads', 'output_padding'].map((name) => list(node, name) ?? []);
  const extents = x.shape
    .slice(2)
    .map((extent, i) => (extent - 1) * strides[i] + filter.shape[i + 2] + added[i] - pads[i] - pads[i + 3]);
  return one([x.shape[0], filter.shape[1], ...extents], x.type);
};

/** Operators whose result has shape and type of the first operand. */
const LIKE_FIRST =
  'Abs Cos Erf Exp Floor Gelu HardSigmoid Identity Log Neg Not Reciprocal Relu ScatterND Sign Sin Softmax Sqrt'.split(
    ' ',
  );
/** Operators on numbers, with broadcasting. */
const ARITHMETIC = 'Add Div Max Min Mod Mul Pow Sub Sum'.split(' ');
/** Operators with a boolean result, with broadcasting. */
const LOGICAL = 'And Equal Greater GreaterOrEqual IsNaN Less LessOrEqual Or'.split(' ');

const shared = (names: readonly string[], rule: Rule) =>
  Object.fromEntries(names.map((name) => [name, rule]));

const RULES: Readonly<Record<string, Rule>> = {
  ...shared(LIKE_FIRST, likeFirst),
  ...shared(ARITHMETIC, elementwise),
  ...shared(LOGICAL, toBool),
  Where: (inputs) => one(broadcast(inputs.map(({ shape }) => shape)), inputs[1].type),
  Cast: cast,
  MatMul: matMul,
  FusedMatMul: matMul,
  Gemm: matMul,
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceSumSquare: reduction,
  ArgMax: argMax,
  LayerNormalization: layerNormalization,
  Transpose: ([x], node) =>
    one(
      (list(node, 'perm') ?? []).map((axis) => x.shape[axis]),
      x.type,
    ),
  Reshape: ([x, { ints = [] }]) => one(ints, x.type),
  Expand: ([x, { ints = [] }]) => one(ints, x.type),
  Tile: ([x, { ints = [] }]) =>
    one(
      x.shape.map((extent, axis) => extent * ints[axis]),
      x.type,
    ),
  Gather: ([x, indices]) => one([...indices.shape, ...x.shape.slice(1)], x.type),
  Concat: (inputs, node) => {
    const axis = axisOf(node, inputs[0]);
    const extent = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
    return one(withExtent(inputs[0].shape, axis, extent), inputs[0].type);
  },
  Split: ([x, { ints = [] }], node) =>
    ints.map((extent) => ({ shape: withExtent(x.shape, axisOf(node, x), extent), type: x.type })),
  Slice: slice,
  Pad: pad,
  Conv: conv,
  ConvTranspose: convTranspose,
};

/** Operators whose result is a view of the first operand. */
export const VIEWS: ReadonlySet<string> = new Set(['Reshape', 'Identity']);

/** The operators that lowerings may use. */
export const OPERATORS: readonly string[] = Object.keys(RULES);
