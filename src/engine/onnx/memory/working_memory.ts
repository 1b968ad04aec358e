/** @file Computes from a graph how much memory ONNX Runtime needs to run it. */
import { DTYPE_BYTES, sizeOf } from '../../../formats/host_tensor.js';
import type { OnnxGraph, OnnxNode } from '../model_format.js';
import { inferGraph, type OnnxInfo, VIEWS } from '../shapes.js';
import { planMemory } from './memory_plan.js';

/** Operators whose result may overwrite an operand of the same size that nothing else reads, on the CPU. */
const IN_PLACE: ReadonlySet<string> = new Set(
  'Abs Add Div Erf Exp Floor Log Mul Neg Not Reciprocal ScatterND Sign Softmax Sqrt Sub Sum'.split(' '),
);

/** A block of memory, used from node `begin` to node `end`, by one value after the other. */
interface Block {
  readonly bytes: number;
  readonly begin: number;
  end: number;
  /** Number of values in it that are still needed. */
  readers: number;
}

/** Returns the bytes of a graph's results and temporaries on a GPU. */
export function workingMemoryOnGpu(graph: OnnxGraph): number {
  const results = graph.outputs.map(({ shape, type }) => sizeOf(shape) * DTYPE_BYTES[type]);
  const temporaries = planMemory(graph).plan.buffers.map(({ bytes }) => bytes);
  return [...results, ...temporaries].reduce((sum, bytes) => sum + bytes, 0);
}

/** Returns the bytes of a graph's results and temporaries on the CPU at its fullest moment. */
export function workingMemory(graph: OnnxGraph): number {
  const changes = new Float64Array(graph.nodes.length + 2);
  for (const { bytes, begin, end } of new BlockPlan(graph).blocks) {
    changes[begin] += bytes;
    changes[end + 1] -= bytes;
  }
  let [now, max] = [0, 0];
  for (const change of changes) {
    now += change;
    max = Math.max(max, now);
  }
  return max;
}

/**
 * Assigns values to blocks as the runtime's allocation planner does: a result is a view of an operand, overwrites one, takes
 * a free block of its size, or gets a new block.
 */
class BlockPlan {
  readonly blocks: Block[] = [];
  readonly #infos: ReadonlyMap<string, OnnxInfo>;
  readonly #lastUse = new Map<string, number>();
  /** Sizes of the graph's results. */
  readonly #sizes: ReadonlyMap<string, number>;
  /** The block of each value; operands and constants have none. */
  readonly #blockOf = new Map<string, Block>();
  /** Free blocks by size. */
  readonly #free = new Map<number, Block[]>();

  constructor(graph: OnnxGraph) {
    const { nodes, outputs } = graph;
    this.#infos = inferGraph(graph);
    for (const [n, node] of nodes.entries()) for (const name of node.inputs) this.#lastUse.set(name, n);
    this.#sizes = new Map(outputs.map(({ name, shape }) => [name, sizeOf(shape)]));
    for (const [n, node] of nodes.entries()) this.#run(n, node, nodes.length);
  }

  #run(n: number, node: OnnxNode, end: number): void {
    for (const name of node.outputs) {
      const info = this.#infos.get(name) as OnnxInfo;
      const expected = this.#sizes.get(name);
      if (expected !== undefined && expected !== sizeOf(info.shape))
        throw new Error(
          `the inferred shape of ${node.op} is [${info.shape}], but the kernel recorded ${expected} elements`,
        );
      const bytes = sizeOf(info.shape) * DTYPE_BYTES[info.type];
      const isResult = this.#sizes.has(name);
      const block = isResult ? null : this.#reusable(n, node, bytes);
      if (block === 'operand') continue;
      this.#assign(name, block ?? this.#newBlock(bytes, n), isResult ? end : (this.#lastUse.get(name) ?? n));
    }
    for (const name of new Set(node.inputs)) if (this.#lastUse.get(name) === n) this.#leave(name);
    for (const name of node.outputs) if (!this.#lastUse.has(name)) this.#leave(name);
  }

  /** Finds a block for the result of a node; 'operand' if it is a view of an operand or constant of the graph. */
  #reusable(n: number, { op, inputs }: OnnxNode, bytes: number): Block | 'operand' | undefined {
    if (VIEWS.has(op)) return this.#blockOf.get(inputs[0]) ?? 'operand';
    if (IN_PLACE.has(op)) {
      for (const name of inputs) {
        const block = this.#blockOf.get(name);
        const isLast = this.#lastUse.get(name) === n && !this.#sizes.has(name);
        if (block && isLast && block.readers === 1 && block.bytes === bytes) return block;
      }
    }
    return this.#free.get(bytes)?.pop();
  }

  #newBlock(bytes: number, begin: number): Block {
    const block = { bytes, begin, end: begin, readers: 0 };
    this.blocks.push(block);
    return block;
  }

  #assign(name: string, block: Block, last: number): void {
    block.end = Math.max(block.end, last);
    block.readers++;
    this.#blockOf.set(name, block);
  }

  /** Frees the block of a value that is no longer needed, unless another value in it is. */
  #leave(name: string): void {
    const block = this.#blockOf.get(name);
    if (!block || this.#sizes.has(name) || --block.readers > 0) return;
    const free = this.#free.get(block.bytes);
    if (free) free.push(block);
    else this.#free.set(block.bytes, [block]);
  }
}
