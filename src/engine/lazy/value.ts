/** @file Values and nodes of the lazy graph, with their reference counts. */
import type { NativeFloats } from '../../util/native/native.js';

export type LazyDtype = 'float32' | 'int32' | 'bool';

export interface ValueInfo {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
}

/** Memory of a GPU that holds float32 numbers. */
export interface DeviceMemory {
  readonly address: number;
  /** Number of elements. */
  readonly length: number;
  /** Keeps the memory, also after the release of its buffer, until the returned function is called. */
  hold(): () => void;
}

/** Memory of an engine that holds a value's content. */
export interface Buffer {
  /** How the content is stored, if not in the natural way of its type. Part of the structural key. */
  readonly layout?: string;
  /** The numbers themselves and not a copy, valid until `release`. Only for float32 that the host can reach. */
  hostMemory?(): NativeFloats | null;
  /** The same for memory of a GPU, where work that was queued before may still change the numbers. */
  deviceMemory?(): DeviceMemory | null;
  release(): void;
}

/** The content of a tensor: known (`buffer`) or still to be computed (`producer`). */
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

  /** Frees the content, or forgets how to compute it, if nothing refers to it any more. */
  collect(): void {
    if (this.handles > 0 || this.uses > 0) return;
    this.buffer?.release();
    this.buffer = null;
    if (this.producer?.isUnwanted) this.producer.detach();
  }
}

/** A value that an operation reads, possibly in another shape with as many elements. */
export interface Operand<B extends Buffer> {
  readonly value: Value<B>;
  readonly shape: readonly number[];
}

/** An operation to compute; `op` and `attributes` identify it. */
export interface Call<B extends Buffer> {
  readonly op: string;
  /** Part of the structural key, so it must not hold numbers that change from step to step. */
  readonly attributes: object;
  readonly inputs: readonly Operand<B>[];
  readonly outputs: readonly ValueInfo[];
  /**
   * 0, the main stream, by default. Nodes of different streams never run in one graph. Graphs of the other streams run at the
   * same time if they do not depend on each other.
   */
  readonly stream?: number;
}

/** Keeps numbers distinct that JSON writes alike: NaN and the infinities, and the two zeros. */
function distinct(_: string, value: unknown): unknown {
  if (typeof value !== 'number' || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Attributes as text. Most operations have none, which is faster to check than to convert. */
function attributesText(attributes: object): string {
  for (const _ in attributes) return JSON.stringify(attributes, distinct);
  return '{}';
}

/** The position of a node in the recording. */
interface Place {
  readonly id: number;
  /** Graph breaks before it. */
  readonly breaks: number;
  readonly region: string | undefined;
}

/** A recorded operation that has not run. */
export class Node<B extends Buffer> {
  readonly outputs: readonly Value<B>[];
  readonly id: number;
  /** Graph breaks before the node. */
  readonly breaks: number;
  readonly region: string | undefined;
  readonly stream: number;
  /** The part of the structural key that does not depend on the operands' origin. */
  readonly signature: string;
  /** Whether the node belongs to a run under way, so that its inputs have to stay. */
  isPlanned = false;
  /** Number of its segment within a run; set while the run is planned. */
  segment = 0;

  constructor(
    { id, breaks, region }: Place,
    readonly call: Call<B>,
    /** All nodes that have not run; this one is among them until it is detached. */
    private readonly pending: Set<Node<B>>,
  ) {
    this.id = id;
    this.breaks = breaks;
    this.region = region;
    this.stream = call.stream ?? 0;
    pending.add(this);
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

  /** Whether nothing refers to its results and no run under way computes them. */
  get isUnwanted(): boolean {
    return !this.isPlanned && this.outputs.every(({ handles, uses }) => handles === 0 && uses === 0);
  }

  /** Takes the node out of the graph, after it has run or because nothing refers to its results. */
  detach(): void {
    // Recursion could overflow the stack, because chains have thousands of nodes.
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
