/** @file Compiles graphs to sessions of ONNX Runtime. */
import { EngineError } from '../../errors.js';
import { sameShape } from '../../formats/host_tensor.js';
import type { Compiler, Executable, Graph, GraphNode } from '../lazy/compiler.js';
import { OrtError } from './c_api.js';
import { GraphBuilder } from './graph_builder.js';
import type { Lowering } from './kernel.js';
import { encodeModel, type OnnxGraph, type OnnxNode } from './model_format.js';
import type { OrtTensor } from './ort_tensor.js';
import type { OrtRuntime, OrtSession } from './runtime.js';

/** The first of the streams of kernels that are only correct on one thread. */
export const SERIAL_STREAM = 1;

/** Compiles graphs. Throws EngineError, which names the failed operations. */
export class OrtCompiler implements Compiler<OrtTensor> {
  constructor(
    private readonly runtime: OrtRuntime,
    private readonly lowerings: ReadonlyMap<string, Lowering>,
  ) {}

  compile(graph: Graph): Executable<OrtTensor> {
    const model = encodeModel(lowerGraph(graph, this.lowerings));
    const outputs = graph.outputs.map(({ node, output }) => graph.nodes[node].outputs[output]);
    let session: OrtSession;
    try {
      const threading = graph.stream === 0 ? 'pool' : 'single';
      session = this.runtime.createSession(model, outputs, { threading });
    } catch (error) {
      throw explained(error, graph);
    }
    return {
      run: (inputs) => {
        try {
          return this.runtime.run(session, inputs);
        } catch (error) {
          throw explained(error, graph);
        }
      },
      runAsync: async (inputs) => {
        try {
          return await this.runtime.runAsync(session, inputs);
        } catch (error) {
          throw explained(error, graph);
        }
      },
      release: () => session.release(),
    };
  }
}

/** Lowers a recorded graph to ONNX. Inputs are named i0, i1, …, outputs o0, o1, …. */
export function lowerGraph(graph: Graph, lowerings: ReadonlyMap<string, Lowering>): OnnxGraph {
  const builder = new GraphBuilder();
  const results: string[][] = [];
  for (const [n, node] of graph.nodes.entries()) {
    builder.label = `${node.op} ${n}`;
    const operands = node.inputs.map(({ source, shape }) => {
      const isInput = 'input' in source;
      const info = isInput ? graph.inputs[source.input] : graph.nodes[source.node].outputs[source.output];
      const name = isInput ? `i${source.input}` : results[source.node][source.output];
      const isView = !sameShape(shape, info.shape);
      return { name: isView ? builder.view(name, shape) : name, shape, dtype: info.dtype };
    });
    const lower = lowerings.get(node.op);
    if (!lower) throw new Error(`no lowering of ${node.op}`);
    const lowered = lower(builder, operands, node);
    results.push(typeof lowered === 'string' ? [lowered] : lowered);
  }
  const nodes = nameOutputs(
    builder.nodes,
    graph.outputs.map(({ node, output }) => results[node][output]),
  );
  return {
    nodes,
    constants: builder.constants,
    inputs: graph.inputs.map(({ shape, dtype }, i) => ({ name: `i${i}`, shape, type: dtype })),
    outputs: graph.outputs.map(({ node, output }, o) => {
      const { shape, dtype } = graph.nodes[node].outputs[output];
      return { name: `o${o}`, shape, type: dtype };
    }),
  };
}

/** Renames the results that are kept to o0, o1, …. A result that is kept twice, or is an input, is copied. */
function nameOutputs(nodes: readonly OnnxNode[], results: readonly string[]): OnnxNode[] {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const names = new Map<string, string>();
  const copies: OnnxNode[] = [];
  for (const [o, result] of results.entries()) {
    const output = `o${o}`;
    if (made.has(result) && !names.has(result)) names.set(result, output);
    else {
      const inputs = [names.get(result) ?? result];
      copies.push({ name: output, op: 'Identity', domain: '', inputs, outputs: [output], attributes: {} });
    }
  }
  const renamed = (list: readonly string[]) => list.map((name) => names.get(name) ?? name);
  return [
    ...nodes.map((node) => ({ ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) })),
    ...copies,
  ];
}

/** Adds the operation that the runtime's error names, or else the first twenty, with their shapes. */
function explained(error: unknown, graph: Graph): unknown {
  if (!(error instanceof OrtError)) return error;
  const named = /\b\w+ (\d+) #\d/.exec(error.message);
  const index = named ? Number(named[1]) : -1;
  const nodes = graph.nodes[index] ? [graph.nodes[index]] : graph.nodes.slice(0, 20);
  const memory = /alloc|memory/i.test(error.message) ? 'out of memory? ' : '';
  return new EngineError(
    `ONNX Runtime failed: ${memory}${error.message}\n  in ${nodes.map(describeNode).join('\n     ')}`,
    { cause: error },
  );
}

function describeNode({ op, inputs, outputs }: GraphNode): string {
  const list = (shapes: readonly { shape: readonly number[] }[]) =>
    shapes.map(({ shape }) => `[${shape}]`).join(', ');
  return `${op}(${list(inputs)}) → ${list(outputs)}`;
}
