/** @file Plans the runs of a lazy graph: which nodes run, in which segments, and the graph of each segment. */
import { sameShape } from '../../formats/host_tensor.js';
import type { Graph, Source } from './compiler.js';
import type { Buffer, Node, Operand, Value } from './value.js';

/** Inputs and wiring of a segment. */
interface Wiring<B extends Buffer> {
  /** Identifies equal segments, apart from their stream and the results that are kept. */
  key: string;
  inputs: Value<B>[];
  /** How many operands inside the segment refer to a value. */
  usesInside: Map<Value<B>, number>;
}

/** The nodes that have to run for `targets`, in the order of recording. */
export function pendingNodes<B extends Buffer>(targets: readonly Value<B>[]): Node<B>[] {
  const found = new Set<Node<B>>();
  const open = targets.flatMap(({ producer }) => producer ?? []);
  for (let node = open.pop(); node; node = open.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    for (const { value } of node.call.inputs) if (value.producer) open.push(value.producer);
  }
  return [...found].sort((a, b) => a.id - b.id);
}

/**
 * Cuts nodes into segments that run one after the other, each as one graph. Nodes after a graph break follow all nodes
 * before it; between two breaks the streams alternate as often as the dependencies require.
 */
export function cutIntoSegments<B extends Buffer>(nodes: readonly Node<B>[]): Node<B>[][] {
  const segments: Node<B>[][] = [];
  let breaks = -1;
  let first = 0;
  const sinceBreak = new Set<Node<B>>();
  for (const node of nodes) {
    if (node.breaks !== breaks) {
      breaks = node.breaks;
      first = segments.length;
      sinceBreak.clear();
    }
    sinceBreak.add(node);
    let segment = first;
    for (const { value } of node.call.inputs) {
      const { producer } = value;
      if (!producer || !sinceBreak.has(producer)) continue;
      segment = Math.max(segment, producer.segment + (producer.stream === node.stream ? 0 : 1));
    }
    // The first segment of this stream that is late enough.
    while (segment < segments.length && segments[segment][0].stream !== node.stream) segment++;
    node.segment = segment;
    if (segment === segments.length) segments.push([]);
    segments[segment].push(node);
  }
  return segments;
}

/**
 * Groups neighbouring segments that can run at the same time: segments outside of the main stream of which none needs a
 * result of another.
 */
export function groupSegments<B extends Buffer>(segments: readonly Node<B>[][]): Node<B>[][][] {
  const groups: Node<B>[][][] = [];
  for (const segment of segments) {
    const group = groups.at(-1);
    const isFree = (other: Node<B>[]) => other[0].stream !== 0 && !needs(segment, other);
    if (group && segment[0].stream !== 0 && group.every(isFree)) group.push(segment);
    else groups.push([segment]);
  }
  return groups;
}

/** Whether a node of `segment` reads a result of `other`. */
function needs<B extends Buffer>(segment: readonly Node<B>[], other: readonly Node<B>[]): boolean {
  const made = new Set(other);
  return segment.some(({ call }) =>
    call.inputs.some(({ value: { producer } }) => producer && made.has(producer)),
  );
}

/** The stream of a segment's graph: all streams but the main one compile alike. */
export function graphStream<B extends Buffer>([{ stream }]: readonly Node<B>[]): 0 | 1 {
  return stream === 0 ? 0 : 1;
}

/** The layout of a known value in keys; empty for the natural one. */
export function layoutText<B extends Buffer>({ buffer }: Value<B>): string {
  return buffer?.layout === undefined ? '' : `@${buffer.layout}`;
}

/** Finds the inputs of a segment, which earlier runs have computed, and its structural key. */
export function wiringOf<B extends Buffer>(segment: readonly Node<B>[]): Wiring<B> {
  /** Names of values in the key. */
  const names = new Map<Value<B>, string>();
  const inputs: Value<B>[] = [];
  const usesInside = new Map<Value<B>, number>();
  const keys: string[] = [];
  for (const [n, node] of segment.entries()) {
    let key = node.signature;
    for (const { value, shape } of node.call.inputs) {
      let name = names.get(value);
      if (name === undefined) {
        name = `i${inputs.length}:${value.dtype}[${value.shape}]${layoutText(value)}`;
        inputs.push(value);
        names.set(value, name);
      }
      if (value.producer) usesInside.set(value, (usesInside.get(value) ?? 0) + 1);
      key += sameShape(shape, value.shape) ? ` ${name}` : ` ${name}>${shape}`;
    }
    for (const [o, output] of node.outputs.entries()) names.set(output, `n${n}.${o}`);
    keys.push(key);
  }
  return { key: keys.join('\n'), inputs, usesInside };
}

/** The results that something outside of the segment refers to. */
export function keptOutputs<B extends Buffer>(
  segment: readonly Node<B>[],
  usesInside: ReadonlyMap<Value<B>, number>,
): Graph['outputs'] {
  const kept: { node: number; output: number }[] = [];
  for (const [node, { outputs }] of segment.entries()) {
    for (const [output, value] of outputs.entries()) {
      const isUsedOutside = value.uses > (usesInside.get(value) ?? 0);
      if (value.handles > 0 || isUsedOutside) kept.push({ node, output });
    }
  }
  return kept;
}

/** Describes a segment to the compiler. */
export function describeSegment<B extends Buffer>(
  segment: readonly Node<B>[],
  inputs: readonly Value<B>[],
  outputs: Graph['outputs'],
): Graph {
  const sources = new Map<Value<B>, Source>(inputs.map((value, input) => [value, { input }]));
  for (const [n, node] of segment.entries()) {
    for (const [output, value] of node.outputs.entries()) sources.set(value, { node: n, output });
  }
  const read = ({ value, shape }: Operand<B>) => ({ source: sources.get(value) as Source, shape });
  return {
    nodes: segment.map(({ call: { op, attributes, inputs, outputs } }) => ({
      op,
      attributes,
      inputs: inputs.map(read),
      outputs,
    })),
    inputs: inputs.map(({ shape, dtype, buffer }) => ({ shape, dtype, layout: buffer?.layout })),
    outputs,
    stream: graphStream(segment),
  };
}
