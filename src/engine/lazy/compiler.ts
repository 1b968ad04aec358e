/** @file The contract between the lazy graph and a compiler: the graphs to compile, and executables. */
import type { Buffer, ValueInfo } from './value.js';

/** The origin of a node's input: an input of the graph, or a result of another node. */
export type Source = { readonly input: number } | { readonly node: number; readonly output: number };

/** An operation in a graph. */
export interface GraphNode {
  readonly op: string;
  readonly attributes: object;
  /** `shape` is the shape in which the node reads the source; the source may have another one with as many elements. */
  readonly inputs: readonly { readonly source: Source; readonly shape: readonly number[] }[];
  readonly outputs: readonly ValueInfo[];
}

export interface GraphInput extends ValueInfo {
  /** The layout of its buffer, if that is not the natural one of the type. */
  readonly layout?: string;
}

/** A graph to compile. Its nodes are in an order in which they can run. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphInput[];
  /** The results that the executable returns. */
  readonly outputs: readonly { readonly node: number; readonly output: number }[];
  /** 0 for the main stream. Graphs of other streams may run at the same time. */
  readonly stream: 0 | 1;
}

/** A compiled graph. */
export interface Executable<B extends Buffer> {
  /** Each result has the same layout in every run. */
  run(inputs: readonly B[]): B[];
  /**
   * Runs without blocking this thread. Results may take the memory of the inputs in `donated`, which the caller then only
   * releases.
   */
  runAsync(inputs: readonly B[], donated?: ReadonlySet<B>): Promise<B[]>;
  release(): void;
}

/** Compiles graphs. Throws if a graph cannot be compiled. */
export interface Compiler<B extends Buffer> {
  compile(graph: Graph): Executable<B>;
}

/** Operations that a message lists, at most. */
const MAX_NODES = 20;

/** The lines of a message that name operations, with the shapes of their inputs and results. */
export function describeNodes(nodes: readonly GraphNode[]): string {
  return `  in ${nodes.slice(0, MAX_NODES).map(describeNode).join('\n     ')}`;
}

function describeNode({ op, inputs, outputs }: GraphNode): string {
  const list = (shapes: readonly { shape: readonly number[] }[]) =>
    shapes.map(({ shape }) => `[${shape}]`).join(', ');
  return `${op}(${list(inputs)}) → ${list(outputs)}`;
}
