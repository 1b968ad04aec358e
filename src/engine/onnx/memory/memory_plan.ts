/**
 * @file Where the temporaries of a graph are, and when they are computed.
 *
 * ONNX Runtime would allocate each temporary on its own, and choose an order in which many are needed at a time. A planned graph
 * leaves it neither: temporaries are outputs of the graph, and inputs for the nodes that read them, in buffers that are given
 * to each run. Nodes that depend on no other run from the last in the file to the first.
 */
import { DTYPE_BYTES, sizeOf } from '../../../formats/host_tensor.js';
import {
  type OnnxGraph,
  type OnnxNode,
  type OnnxValue,
  sharedInfo,
  type TensorInfo,
} from '../model_format.js';
import { inferGraph, type OnnxInfo, VIEWS } from '../shapes.js';

/** An input or output of a planned graph. */
export interface PlannedValue {
  readonly position: number;
  readonly info: TensorInfo;
}

/** The values that are in one buffer, one after the other. */
export interface BufferPlan {
  readonly inputs: readonly PlannedValue[];
  readonly outputs: readonly PlannedValue[];
}

/** The inputs and outputs that a planned graph has beside its operands and results. */
export interface MemoryPlan {
  readonly buffers: readonly (BufferPlan & { readonly bytes: number })[];
  /** For each result, the inputs through which later nodes read it. */
  readonly results: readonly BufferPlan[];
  /** Numbers of all inputs and outputs. */
  readonly numInputs: number;
  readonly numOutputs: number;
}

export interface PlannedGraph {
  readonly graph: OnnxGraph;
  readonly plan: MemoryPlan;
}

/** A graph whose temporaries ONNX Runtime allocates. */
export function unplanned(graph: OnnxGraph): PlannedGraph {
  const { inputs, outputs } = graph;
  const results = outputs.map(() => ({ inputs: [], outputs: [] }));
  return { graph, plan: { buffers: [], results, numInputs: inputs.length, numOutputs: outputs.length } };
}

/** Plans a graph with inputs i0, i1, … and outputs o0, o1, …, which the new ones continue. */
export function planMemory(graph: OnnxGraph): PlannedGraph {
  const { nodes, inputs, outputs, buffers, results } = new Planner(graph);
  return {
    graph: { nodes: nodes.toReversed(), constants: graph.constants, inputs, outputs },
    plan: { buffers, results, numInputs: inputs.length, numOutputs: outputs.length },
  };
}

class PlannedBuffer implements BufferPlan {
  readonly inputs: PlannedValue[] = [];
  readonly outputs: PlannedValue[] = [];

  constructor(public bytes: number) {}
}

/** Goes through a graph from node to node. Of the free buffers, a value takes the one that fits best. */
class Planner {
  /** The nodes in the order in which they run, with new names. */
  readonly nodes: OnnxNode[] = [];
  readonly inputs: OnnxValue[];
  readonly outputs: OnnxValue[];
  readonly buffers: PlannedBuffer[] = [];
  readonly results: PlannedBuffer[];
  readonly #infos: ReadonlyMap<string, OnnxInfo>;
  /** For each view, the value that it is a view of. */
  readonly #owners = new Map<string, string>();
  /** For each value that is not a view, the last node that reads it or a view of it. */
  readonly #lastUses = new Map<string, number>();
  /** The buffers of results and temporaries. */
  readonly #places = new Map<string, PlannedBuffer>();
  /** Names of the inputs through which nodes read results and temporaries, by value and shape. */
  readonly #inputNames = new Map<string, string>();
  #free: PlannedBuffer[] = [];

  constructor(graph: OnnxGraph) {
    this.inputs = [...graph.inputs];
    this.outputs = [...graph.outputs];
    this.results = graph.outputs.map(() => new PlannedBuffer(0));
    this.#infos = inferGraph(graph);
    const results = new Map(graph.outputs.map(({ name }, i) => [name, this.results[i]]));
    for (const [n, { op, inputs, outputs }] of graph.nodes.entries()) {
      for (const name of inputs) this.#lastUses.set(this.#ownerOf(name), n);
      // A result is a copy.
      const isView = VIEWS.has(op) && !results.has(outputs[0]);
      if (isView) this.#owners.set(outputs[0], this.#ownerOf(inputs[0]));
    }
    for (const [n, node] of graph.nodes.entries()) this.#run(n, node, results);
  }

  #ownerOf(name: string): string {
    return this.#owners.get(name) ?? name;
  }

  #run(n: number, node: OnnxNode, results: ReadonlyMap<string, PlannedBuffer>): void {
    if (!this.#owners.has(node.outputs[0])) {
      const inputs = node.inputs.map((name) => this.#nameToRead(name));
      const outputs = node.outputs.map((name) => {
        const result = results.get(name);
        if (!result) return this.#nameToWrite(name);
        this.#places.set(name, result);
        return name;
      });
      this.nodes.push({ ...node, inputs, outputs });
    } else if (!this.#places.has(this.#ownerOf(node.inputs[0]))) {
      // A view of an operand or a constant.
      this.nodes.push(node);
    }
    this.#free.push(...this.#ended(n, node));
  }

  /** Gives memory to a temporary, which becomes an output. */
  #nameToWrite(name: string): string {
    const { shape, type } = this.#infos.get(name)!;
    const buffer = this.#take(sizeOf(shape) * DTYPE_BYTES[type]);
    this.#places.set(name, buffer);
    const position = this.outputs.length;
    buffer.outputs.push({ position, info: sharedInfo({ shape, dtype: type }) });
    this.outputs.push({ name: `o${position}`, shape, type });
    return `o${position}`;
  }

  /** Makes an input of a result or temporary, in the shape in which a node reads it. */
  #nameToRead(name: string): string {
    const owner = this.#ownerOf(name);
    const buffer = this.#places.get(owner);
    if (!buffer) return name;
    const { shape, type } = this.#infos.get(name)!;
    const key = `${owner}[${shape}]`;
    const known = this.#inputNames.get(key);
    if (known) return known;
    const position = this.inputs.length;
    buffer.inputs.push({ position, info: sharedInfo({ shape, dtype: type }) });
    this.inputs.push({ name: `i${position}`, shape, type });
    this.#inputNames.set(key, `i${position}`);
    return `i${position}`;
  }

  /** Takes the smallest free buffer that is large enough, or enlarges the largest, or adds one. */
  #take(bytes: number): PlannedBuffer {
    this.#free.sort((a, b) => a.bytes - b.bytes);
    const fitting = this.#free.findIndex((buffer) => buffer.bytes >= bytes);
    const [buffer = new PlannedBuffer(bytes)] = this.#free.splice(fitting, 1);
    buffer.bytes = Math.max(buffer.bytes, bytes);
    if (buffer.outputs.length === 0) this.buffers.push(buffer);
    return buffer;
  }

  /** Buffers of temporaries that no node after node `n` reads. */
  #ended(n: number, { inputs, outputs }: OnnxNode): Set<PlannedBuffer> {
    const ended = new Set<PlannedBuffer>();
    for (const owner of [...inputs, ...outputs].map((name) => this.#ownerOf(name))) {
      const buffer = this.#places.get(owner);
      const isLast = (this.#lastUses.get(owner) ?? n) === n;
      if (buffer && isLast && !this.results.includes(buffer)) ended.add(buffer);
    }
    return ended;
  }
}
