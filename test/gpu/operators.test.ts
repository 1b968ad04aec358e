/** @file The list of the WebGPU provider's operators is what the provider answers, for every operator that a lowering may emit. */
import { expect, it } from 'vitest';
import type { LazyDtype } from '../../src/engine/lazy/value.js';
import type { OnnxBackend } from '../../src/engine/onnx/backend.js';
import { ORT_VERSION } from '../../src/engine/onnx/c_api.js';
import { GraphBuilder } from '../../src/engine/onnx/graph_builder.js';
import type { ElementType } from '../../src/engine/onnx/model_format.js';
import type { OrtRuntime } from '../../src/engine/onnx/runtime.js';
import { inferGraph, type OnnxInfo, OPERATORS } from '../../src/engine/onnx/shapes.js';
import { tf } from '../../src/engine/tfjs.js';
import { entryOf, PROBED_VERSION, WEBGPU_OPERATORS } from '../support/webgpu_operators.js';

/** Adds one node whose operands have these names. */
type Build = (g: GraphBuilder, names: readonly string[]) => void;
interface Candidate {
  readonly operands: readonly OnnxInfo[];
  readonly build: Build;
}

const TYPES: readonly ElementType[] = ['float32', 'int32', 'bool', 'int64'];
const SHAPE = [4, 8];

const builds: Readonly<Record<string, Build>> = {
  ArgMax: (g, [x]) => g.op('ArgMax', [x], { axis: 1, keepdims: 0 }),
  Concat: (g, [x, y]) => g.op('Concat', [x, y], { axis: 0 }),
  Expand: (g, [x]) => g.op('Expand', [x, g.ints([2, 4, 8])]),
  Pad: (g, [x]) => g.op('Pad', [x, g.ints([1, 0, 0, 1])]),
  Reshape: (g, [x]) => g.reshape(x, [8, 4]),
  Slice: (g, [x]) => g.op('Slice', [x, g.ints([1]), g.ints([3]), g.ints([1])]),
  Softmax: (g, [x]) => g.op('Softmax', [x], { axis: -1 }),
  Split: (g, [x]) => g.split(x, [3, 5], 1),
  Tile: (g, [x]) => g.op('Tile', [x, g.ints([2, 1])]),
  Transpose: (g, [x]) => g.op('Transpose', [x], { perm: [1, 0] }),
};
const binary =
  'Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mod Mul Or Pow Sub Sum'.split(' ');

/** A node of an operator for operands of one type. */
function candidates(op: string, type: ElementType): Candidate[] {
  const x: OnnxInfo = { shape: SHAPE, type };
  const like = (...shape: number[]): OnnxInfo => ({ shape, type });
  const places = (...shape: number[]): OnnxInfo => ({ shape, type: 'int32' });
  const one = (operands: readonly OnnxInfo[], build: Build = (g, names) => g.op(op, names)) => [
    { operands, build },
  ];
  if (op in builds) return one(op === 'Concat' ? [x, x] : [x], builds[op]);
  if (binary.includes(op)) return one([x, like(8)]);
  if (op.startsWith('Reduce')) return one([x], (g, [name]) => g.op(op, [name, g.ints([1])], { keepdims: 1 }));
  switch (op) {
    case 'Cast':
      return TYPES.filter((to) => to !== type).flatMap((to) => one([x], (g, [name]) => g.cast(name, to)));
    case 'Conv':
    case 'ConvTranspose':
      return one([like(1, 2, 3, 4, 4), like(2, 2, 2, 2, 2)], (g, names) =>
        g.op(op, names, {
          strides: [1, 1, 1],
          pads: [0, 0, 0, 0, 0, 0],
          ...(op === 'ConvTranspose' && { output_padding: [0, 0, 0] }),
        }),
      );
    case 'Gather':
      return one([x, places(3)], (g, names) => g.op('Gather', names, { axis: 0 }));
    case 'Gemm':
    case 'MatMul':
      return one([x, like(8, 2)]);
    case 'FusedMatMul':
      return one([x, like(8, 2)], (g, names) => g.contrib(op, names));
    case 'LayerNormalization':
      return one([x, like(8)], (g, names) => g.ops(op, names, 3, { axis: -1 }));
    case 'ScatterND':
      return ['add', 'max'].flatMap((reduction) =>
        one([x, { shape: [3, 1], type: 'int64' }, like(3, 8)], (g, names) => g.op(op, names, { reduction })),
      );
    case 'Where':
      return one([{ shape: SHAPE, type: 'bool' }, x, x]);
    default:
      return one([x]);
  }
}

const infosOf = (infos: ReadonlyMap<string, OnnxInfo>, names: readonly string[]) =>
  names.map((name) => infos.get(name) as OnnxInfo);

/** Runs a node on the GPU, and returns its entry of the list, or null if the provider refuses it. */
function probe(runtime: OrtRuntime, { operands, build }: Candidate): [string, string] | null {
  const g = new GraphBuilder();
  // Operands of int64 exist within graphs only.
  const isWide = ({ type }: OnnxInfo) => type === 'int64';
  const inputs = operands.map((info, i) => ({
    ...info,
    type: isWide(info) ? ('int32' as const) : info.type,
    name: `i${i}`,
  }));
  build(
    g,
    inputs.map(({ name }, i) => (isWide(operands[i]) ? g.cast(name, 'int64') : name)),
  );
  const node = g.nodes[operands.filter(isWide).length];
  const infos = inferGraph({ ...g, inputs });
  const results = node.outputs;
  const outputs = infosOf(infos, results).map(({ shape, type }, i) => ({ name: results[i], shape, type }));
  const renamed = (names: readonly string[]) =>
    names.map((name) => (results.includes(name) ? `o${results.indexOf(name)}` : name));
  const nodes = g.nodes.map((other) => ({
    ...other,
    outputs: renamed(other.outputs),
    inputs: renamed(other.inputs),
  }));
  const valueInfos = (list: readonly OnnxInfo[]) =>
    list.map(({ shape, type }) => ({ shape, dtype: type as LazyDtype }));
  try {
    const graph = {
      nodes,
      constants: g.constants,
      inputs,
      outputs: outputs.map((output, i) => ({ ...output, name: `o${i}` })),
    };
    const session = runtime.createSession(graph, valueInfos(outputs));
    const tensors = valueInfos(inputs).map(({ shape, dtype }) => runtime.allocate(shape, dtype));
    for (const tensor of [...runtime.run(session, tensors), ...tensors]) tensor.release();
    session.release();
    return entryOf(node, infosOf(infos, node.inputs), infosOf(infos, node.outputs));
  } catch {
    return null;
  }
}

it('is what the provider answers', () => {
  const { tensors } = tf.backend() as OnnxBackend;
  const found: Record<string, string> = {};
  for (const op of OPERATORS)
    for (const type of TYPES)
      for (const candidate of candidates(op, type)) {
        const entry = probe(tensors as OrtRuntime, candidate);
        if (entry) found[entry[0]] = [...(found[entry[0]]?.split(' ') ?? []), entry[1]].join(' ');
      }
  expect(found).toEqual(WEBGPU_OPERATORS);
  expect(PROBED_VERSION).toBe(ORT_VERSION);
});
