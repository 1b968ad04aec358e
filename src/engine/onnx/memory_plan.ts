/**
 * @file Where the temporaries of a graph are, and when they are computed.
 *
 * ONNX Runtime would allocate each temporary on its own, and choose an order in which many are needed at a time. A planned graph
 * leaves it neither: temporaries are outputs of the graph, and inputs for the nodes that read them, in buffers that are given
 * to each run. Nodes that depend on no other run from the last in the file to the first.
 */
import { DTYPE_BYTES, sizeOf } from '../../formats/host_tensor.js';
import type { OnnxGraph, OnnxNode, OnnxValue, TensorInfo } from './model_format.js';
import { inferGraph, type OnnxInfo, VIEWS } from './shapes.js';

/** The memory of a value: a buffer of the plan, or a result of the graph. */
export type Place = { readonly buffer: number } | { readonly result: number };

export interface PlacedValue<P extends Place = Place> {
  readonly info: TensorInfo;
  readonly place: P;
}

/** Beside its own inputs and results, a planned graph has these inputs and outputs, in this order. */
export interface MemoryPlan {
  /** Bytes of each buffer. */
  readonly buffers: readonly number[];
  readonly inputs: readonly PlacedValue[];
  readonly outputs: readonly PlacedValue<{ readonly buffer: number }>[];
}

export const NO_PLAN: MemoryPlan = { buffers: [], inputs: [], outputs: [] };

export interface PlannedGraph {
  readonly graph: OnnxGraph;
  readonly plan: MemoryPlan;
}

/** Plans a graph with inputs i0, i1, … and outputs o0, o1, …, which the new ones continue. */
export function planMemory(graph: OnnxGraph): PlannedGraph {
  const { nodes, buffers, inputs, outputs } = new Planner(graph);
  const values = (letter: string, first: number, placed: readonly PlacedValue[]): OnnxValue[] =>
    placed.map(({ info: { shape, dtype } }, i) => ({ name: `${letter}${first + i}`, shape, type: dtype }));
  return {
    graph: {
      nodes: nodes.toReversed(),
      constants: graph.constants,
      inputs: [...graph.inputs, ...values('i', graph.inputs.length, inputs)],
      outputs: [...graph.outputs, ...values('o', graph.outputs.length, outputs)],
    },
    plan: { buffers, inputs, outputs },
  };
}

/** Goes through a graph from node to node. Of the free buffers, a value takes the one that fits best. */
class Planner {
  /** The nodes in the order in which they run, with new names. */
  readonly nodes: OnnxNode[] = [];
  readonly buffers: number[] = [];
  readonly inputs: PlacedValue[] = [];
  readonly outputs: PlacedValue<{ readonly buffer: number }>[] = [];
  readonly #infos: ReadonlyMap<string, OnnxInfo>;
  readonly #results: ReadonlyMap<string, number>;
  /** For each view, the value that it is a view of. */
  readonly #owners = new Map<string, string>();
  /** For each value that is not a view, the last node that reads it or a view of it. */
  readonly #lastUses = new Map<string, number>();
  readonly #places = new Map<string, Place>();
  /** Names of the inputs through which nodes read values that have a place, by value and shape. */
  readonly #inputNames = new Map<string, string>();
  readonly #free: number[] = [];

  constructor(private readonly graph: OnnxGraph) {
    this.#infos = inferGraph(graph);
    this.#results = new Map(graph.outputs.map(({ name }, i) => [name, i]));
    for (const [n, { op, inputs, outputs }] of graph.nodes.entries()) {
      for (const name of inputs) this.#lastUses.set(this.#ownerOf(name), n);
      // A result is a copy.
      if (VIEWS.has(op) && !this.#results.has(outputs[0]))
        this.#owners.set(outputs[0], this.#ownerOf(inputs[0]));
    }
    for (const [n, node] of graph.nodes.entries()) this.#run(n, node);
  }

  #ownerOf(name: string): string {
    return this.#owners.get(name) ?? name;
  }

  #run(n: number, node: OnnxNode): void {
    if (!this.#owners.has(node.outputs[0])) {
      const inputs = node.inputs.map((name) => this.#nameToRead(name));
      this.nodes.push({ ...node, inputs, outputs: node.outputs.map((name) => this.#nameToWrite(name)) });
    } else if (!this.#places.has(this.#ownerOf(node.inputs[0]))) {
      // A view of an input or a constant of the graph.
      this.nodes.push(node);
    }
    this.#free.push(...this.#ended(n, node));
  }

  /** Gives memory to a result of a node. */
  #nameToWrite(name: string): string {
    const result = this.#results.get(name);
    if (result !== undefined) {
      this.#places.set(name, { result });
      return name;
    }
    const info = this.#infoOf(name);
    const place = { buffer: this.#take(sizeOf(info.shape) * DTYPE_BYTES[info.dtype]) };
    this.#places.set(name, place);
    return `o${this.graph.outputs.length + this.outputs.push({ info, place }) - 1}`;
  }

  #nameToRead(name: string): string {
    const owner = this.#ownerOf(name);
    const place = this.#places.get(owner);
    if (!place) return name;
    const info = this.#infoOf(name);
    const key = `${owner}[${info.shape}]`;
    const input =
      this.#inputNames.get(key) ?? `i${this.graph.inputs.length + this.inputs.push({ info, place }) - 1}`;
    this.#inputNames.set(key, input);
    return input;
  }

  #infoOf(name: string): TensorInfo {
    const { shape, type } = this.#infos.get(name)!;
    return { shape, dtype: type };
  }

  /** Takes the smallest free buffer that is large enough, or enlarges the largest, or adds one. */
  #take(bytes: number): number {
    this.#free.sort((a, b) => this.buffers[a] - this.buffers[b]);
    const fitting = this.#free.findIndex((buffer) => this.buffers[buffer] >= bytes);
    const [buffer] = this.#free.splice(fitting, 1);
    if (buffer === undefined) return this.buffers.push(bytes) - 1;
    this.buffers[buffer] = Math.max(this.buffers[buffer], bytes);
    return buffer;
  }

  /** Buffers of values that no node after node `n` reads. */
  #ended(n: number, { inputs, outputs }: OnnxNode): Set<number> {
    const ended = new Set<number>();
    for (const owner of [...inputs, ...outputs].map((name) => this.#ownerOf(name))) {
      const place = this.#places.get(owner);
      if (place && 'buffer' in place && (this.#lastUses.get(owner) ?? n) === n) ended.add(place.buffer);
    }
    return ended;
  }
}
