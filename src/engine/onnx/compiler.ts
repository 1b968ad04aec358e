/** @file Compiles graphs to sessions of ONNX Runtime. */
import { EngineError } from '../../errors.js';
import { sameShape } from '../../formats/host_tensor.js';
import { type Compiler, describeNodes, type Executable, type Graph } from '../lazy/compiler.js';
import { OrtError } from './c_api.js';
import { gpuShortage } from './gpu_shortage.js';
import { GraphBuilder } from './graph_builder.js';
import type { Lowering } from './kernel.js';
import type { OnnxGraph, OnnxNode, OnnxValue } from './model_format.js';
import type { OrtTensor } from './ort_tensor.js';
import type { OrtRuntime, OrtSession } from './runtime.js';

/** The first of the streams of kernels that are only correct on one thread. */
export const SERIAL_STREAM = 1;

/** What graphs are lowered to. */
export interface Target {
  readonly lowerings: ReadonlyMap<string, Lowering>;
  /** Makes a builder for a graph with these inputs; by default one that emits all operators as they are. */
  readonly newBuilder?: (inputs: readonly OnnxValue[]) => GraphBuilder;
}

/** Compiles graphs. Throws EngineError, which names the failed operations. */
export class OrtCompiler implements Compiler<OrtTensor> {
  constructor(
    private readonly runtime: OrtRuntime,
    private readonly target: Target,
  ) {}

  compile(graph: Graph): Executable<OrtTensor> {
    const lowered = lowerGraph(graph, this.target);
    const outputs = graph.outputs.map(({ node, output }) => graph.nodes[node].outputs[output]);
    let session: OrtSession;
    try {
      const threading = graph.stream === 0 ? 'pool' : 'single';
      session = this.runtime.createSession(lowered, outputs, { threading });
    } catch (error) {
      throw this.#explained(error, graph);
    }
    return {
      run: (inputs) => {
        try {
          return this.runtime.run(session, inputs);
        } catch (error) {
          throw this.#explained(error, graph);
        }
      },
      runAsync: async (inputs) => {
        try {
          return await this.runtime.runAsync(session, inputs);
        } catch (error) {
          throw this.#explained(error, graph);
        }
      },
      release: () => session.release(),
    };
  }

  /** Adds the operation that the runtime's error names, or else the first ones, with their shapes. */
  #explained(error: unknown, graph: Graph): unknown {
    if (!(error instanceof OrtError)) return error;
    const named = /\b\w+ (\d+) #\d/.exec(error.message);
    const index = named ? Number(named[1]) : -1;
    const nodes = graph.nodes[index] ? [graph.nodes[index]] : graph.nodes;
    const cause =
      gpuShortage(error, () => lowerGraph(graph, this.target)) ??
      (/alloc|memory/i.test(error.message) ? `out of memory? ${error.message}` : error.message);
    return new EngineError(`ONNX Runtime failed: ${cause}\n${describeNodes(nodes)}`, { cause: error });
  }
}

/** Lowers a recorded graph to ONNX. Inputs are named i0, i1, …, outputs o0, o1, …. */
export function lowerGraph(graph: Graph, { lowerings, newBuilder }: Target): OnnxGraph {
  const inputs = graph.inputs.map(({ shape, dtype }, i) => ({ name: `i${i}`, shape, type: dtype }));
  const builder = newBuilder?.(inputs) ?? new GraphBuilder();
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
    builder,
    graph.outputs.map(({ node, output }) => results[node][output]),
  );
  return {
    nodes,
    constants: builder.constants,
    inputs,
    outputs: graph.outputs.map(({ node, output }, o) => {
      const { shape, dtype } = graph.nodes[node].outputs[output];
      return { name: `o${o}`, shape, type: dtype };
    }),
  };
}

/** Renames the results that are kept to o0, o1, …. A result that is kept twice, or is an input, is copied. */
function nameOutputs(builder: GraphBuilder, results: readonly string[]): OnnxNode[] {
  const made = new Set(builder.nodes.flatMap(({ outputs }) => outputs));
  const names = new Map<string, string>();
  builder.label = 'copy';
  for (const [o, result] of results.entries()) {
    const isNew = made.has(result) && !names.has(result);
    names.set(isNew ? result : builder.op('Identity', [result]), `o${o}`);
  }
  const renamed = (list: readonly string[]) => list.map((name) => names.get(name) ?? name);
  return builder.nodes.map((node) => ({
    ...node,
    inputs: renamed(node.inputs),
    outputs: renamed(node.outputs),
  }));
}
