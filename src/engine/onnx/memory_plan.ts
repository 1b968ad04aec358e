/**
 * @file Where the temporaries of a graph are, and when they are computed.
 *
 * ONNX Runtime would allocate each temporary on its own, and choose an order in which many are needed at a time. A planned graph
 * leaves it neither: temporaries are outputs of the graph, and inputs for the nodes that read them, in buffers that are given
 * to each run. Nodes that depend on no other run from the last in the file to the first.
 */
import { DTYPE_BYTES, sizeOf } from '../../formats/host_tensor.js';
import type { OnnxGraph, OnnxNode, OnnxValue, TensorInfo } from './model_format.js';
import { inferResults, infoOfConstant, type OnnxInfo } from './shapes.js';

/** Operators whose result is a view of the first operand. */
export const VIEWS: ReadonlySet<string> = new Set(['Reshape', 'Identity']);

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
  const planner = new Planner(graph);
  const values = (letter: string, first: number, placed: readonly PlacedValue[]): OnnxValue[] =>
    placed.map(({ info: { shape, dtype } }, i) => ({ name: `${letter}${first + i}`, shape, type: dtype }));
  const { nodes, plan } = planner;
  return {
    graph: {
      nodes: nodes.toReversed(),
      constants: graph.constants,
      inputs: [...graph.inputs, ...values('i', graph.inputs.length, plan.inputs)],
      outputs: [...graph.outputs, ...values('o', graph.outputs.length, plan.outputs)],
    },
    plan,
  };
}

/** A value with a place, as nodes know it. */
interface Placed {
  readonly place: Place;
  /** Name of the value that owns the memory. */
  readonly owner: string;
}

/** Goes through a graph from node to node. Of the free buffers, a value takes the one that fits best. */
class Planner {
  /** The nodes in the order in which they run, with their new names. Views of placed values are gone. */
  readonly nodes: OnnxNode[] = [];
  readonly plan = {
    buffers: [] as number[],
    inputs: [] as PlacedValue[],
    outputs: [] as MemoryPlan['outputs'][number][],
  };
  readonly #infos = new Map<string, OnnxInfo>();
  readonly #results: ReadonlyMap<string, number>;
  readonly #placed = new Map<string, Placed>();
  /** Names of the inputs through which nodes read placed values. */
  readonly #inputNames = new Map<string, string>();
  readonly #lastUse: ReadonlyMap<string, number>;
  readonly #free: number[] = [];

  constructor(private readonly graph: OnnxGraph) {
    const { nodes, constants, inputs, outputs } = graph;
    for (const { name, shape, type } of inputs) this.#infos.set(name, { shape, type });
    for (const constant of constants) this.#infos.set(constant.name, infoOfConstant(constant));
    this.#results = new Map(outputs.map(({ name }, i) => [name, i]));
    this.#lastUse = this.#lastUses();
    for (const [n, node] of nodes.entries()) this.#run(n, node);
  }

  /** For each value that is not a view, the last node that reads it or a view of it. */
  #lastUses(): Map<string, number> {
    const owner = new Map<string, string>();
    const last = new Map<string, number>();
    for (const [n, node] of this.graph.nodes.entries()) {
      for (const name of node.inputs) last.set(owner.get(name) ?? name, n);
      const [source] = node.inputs;
      if (this.#isView(node)) owner.set(node.outputs[0], owner.get(source) ?? source);
    }
    return last;
  }

  #run(n: number, node: OnnxNode): void {
    const operands = node.inputs.map((name) => this.#infos.get(name) as OnnxInfo);
    const infos = inferResults(node, operands);
    for (const [i, info] of infos.entries()) this.#infos.set(node.outputs[i], info);
    if (this.#isView(node)) {
      const source = this.#placed.get(node.inputs[0]);
      if (source) this.#placed.set(node.outputs[0], source);
      // A view of an input or constant stays, and needs no memory.
      else this.nodes.push(node);
    } else {
      const inputs = node.inputs.map((name) => this.#nameToRead(name));
      this.nodes.push({
        ...node,
        inputs,
        outputs: node.outputs.map((name, i) => this.#place(name, infos[i])),
      });
    }
    this.#free.push(...this.#ended(n, node));
  }

  /** Results are copies. */
  #isView({ op, outputs }: OnnxNode): boolean {
    return VIEWS.has(op) && !this.#results.has(outputs[0]);
  }

  /** Gives memory to a result of a node, and returns the name under which the node writes it. */
  #place(name: string, { shape, type }: OnnxInfo): string {
    const result = this.#results.get(name);
    if (result !== undefined) {
      this.#placed.set(name, { place: { result }, owner: name });
      return name;
    }
    const place = { buffer: this.#take(sizeOf(shape) * DTYPE_BYTES[type]) };
    this.#placed.set(name, { place, owner: name });
    const count = this.plan.outputs.push({ info: { shape, dtype: type }, place });
    return `o${this.graph.outputs.length + count - 1}`;
  }

  /** The name under which a node reads a value. */
  #nameToRead(name: string): string {
    const placed = this.#placed.get(name);
    if (!placed) return name;
    const { shape, type } = this.#infos.get(name) as OnnxInfo;
    const key = `${placed.owner}[${shape}]`;
    let input = this.#inputNames.get(key);
    if (input === undefined) {
      const count = this.plan.inputs.push({ info: { shape, dtype: type }, place: placed.place });
      input = `i${this.graph.inputs.length + count - 1}`;
      this.#inputNames.set(key, input);
    }
    return input;
  }

  /** The smallest free buffer that is large enough, else the largest one made larger, else a new one. */
  #take(bytes: number): number {
    const { buffers } = this.plan;
    this.#free.sort((a, b) => buffers[a] - buffers[b]);
    const fitting = this.#free.findIndex((buffer) => buffers[buffer] >= bytes);
    const [buffer] = this.#free.splice(fitting, 1);
    if (buffer === undefined) return buffers.push(bytes) - 1;
    buffers[buffer] = Math.max(buffers[buffer], bytes);
    return buffer;
  }

  /** The buffers whose values nothing reads after node `n`. */
  #ended(n: number, { inputs, outputs }: OnnxNode): number[] {
    const ended = new Set<number>();
    for (const name of [...inputs, ...outputs]) {
      const placed = this.#placed.get(name);
      if (placed && 'buffer' in placed.place && (this.#lastUse.get(placed.owner) ?? n) <= n)
        ended.add(placed.place.buffer);
    }
    return [...ended];
  }
}
