/** @file Values and nodes of a recorded graph, and when they are no longer needed. */

export type LazyDtype = 'float32' | 'int32' | 'bool';

export interface ValueInfo {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
}

/** What an engine keeps a value's content in. */
export interface Buffer {
  release(): void;
}

/** A tensor's content: known (`buffer`) or still to be computed (`producer`). */
export class Value<B extends Buffer> {
  /** The node that computes it, until it has been computed. */
  producer: Node<B> | null = null;
  buffer: B | null = null;
  /** References from outside the graph. */
  handles = 1;
  /** References from nodes that have not run. */
  uses = 0;

  constructor(
    readonly shape: readonly number[],
    readonly dtype: LazyDtype,
  ) {}

  get isPending(): boolean {
    return this.producer !== null;
  }

  /** Frees the content, or forgets how to compute it, where nothing refers to it any more. */
  collect(): void {
    if (this.handles > 0 || this.uses > 0) return;
    this.buffer?.release();
    this.buffer = null;
    if (this.producer?.isUnwanted) this.producer.detach();
  }
}

/** A value as an operation reads it: the same elements, possibly in another shape. */
export interface Operand<B extends Buffer> {
  readonly value: Value<B>;
  readonly shape: readonly number[];
}

/** What is to be computed, told apart from other work by `op` and `attributes` alone. */
export interface Call<B extends Buffer> {
  readonly op: string;
  /** Part of the structural key: never values that change from step to step. */
  readonly attributes: object;
  readonly inputs: readonly Operand<B>[];
  readonly outputs: readonly ValueInfo[];
  /** Nodes of different lanes never run in one graph. */
  readonly lane?: number;
}

/** JSON has one null for all that is not finite, and one zero. */
function distinct(_: string, value: unknown): unknown {
  if (typeof value !== 'number' || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Attributes as text; most operations have none, and JSON takes its time. */
function attributesText(attributes: object): string {
  for (const _ in attributes) return JSON.stringify(attributes, distinct);
  return '{}';
}

/** A recorded operation that has not run. */
export class Node<B extends Buffer> {
  readonly outputs: readonly Value<B>[];
  readonly lane: number;
  /** What it computes, without its operands. */
  readonly signature: string;
  /** Part of a run under way: what it reads has to stay. */
  isPlanned = false;
  /** Number of the graph within a run; set while the run is planned. */
  stage = 0;

  constructor(
    readonly id: number,
    readonly segment: number,
    readonly call: Call<B>,
    readonly part: string | undefined,
    /** All nodes that have not run; this one is among them until it is detached. */
    private readonly pending: Set<Node<B>>,
  ) {
    pending.add(this);
    this.lane = call.lane ?? 0;
    const results = call.outputs.map(({ shape, dtype }) => `${dtype}[${shape}]`);
    this.signature = `${call.op}${attributesText(call.attributes)}${results}`;
    for (const { value } of call.inputs) value.uses++;
    this.outputs = call.outputs.map(({ shape, dtype }) => {
      const value = new Value<B>(shape, dtype);
      value.producer = this;
      return value;
    });
  }

  get isPending(): boolean {
    return this.pending.has(this);
  }

  /** Whether nobody holds or will use any of its results, and no run is about to make them. */
  get isUnwanted(): boolean {
    return !this.isPlanned && this.outputs.every(({ handles, uses }) => handles === 0 && uses === 0);
  }

  /** Takes the node out of the graph, after it has run or because nobody wants its results. */
  detach(): void {
    // A chain of thousands of nodes may end here, so no recursion.
    const ends: Node<B>[] = [this];
    for (let node = ends.pop(); node; node = ends.pop()) {
      node.pending.delete(node);
      for (const output of node.outputs) output.producer = null;
      for (const { value } of node.call.inputs) {
        value.uses--;
        if (value.uses > 0 || value.handles > 0) continue;
        value.buffer?.release();
        value.buffer = null;
        if (value.producer?.isUnwanted) ends.push(value.producer);
      }
    }
  }
}
