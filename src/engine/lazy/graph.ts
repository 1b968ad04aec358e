/**
 * @file The lazy graph: operations are recorded and run when a value is read, as few compiled graphs.
 *
 * It knows nothing of what runs them. A `Compiler` turns a graph into a program once for each structural key, that is
 * for each combination of operations, attributes, shapes and wiring; values are inputs and never part of the key.
 */
import { sameShape } from '../../formats/host_tensor.js';
import type { WorkStatistics } from '../lazy_hints.js';
import { type Buffer, type Call, Node, type Operand, Value, type ValueInfo } from './value.js';

/** Where an input of a graph's node comes from. */
export type Source = { readonly input: number } | { readonly node: number; readonly output: number };

export interface GraphNode {
  readonly op: string;
  readonly attributes: object;
  /** `shape` is the one to read it in; where the source has another, its elements are the same. */
  readonly inputs: readonly { readonly source: Source; readonly shape: readonly number[] }[];
  readonly outputs: readonly ValueInfo[];
}

/** What is compiled: nodes in an order in which they can run. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly ValueInfo[];
  /** The results that are kept. */
  readonly outputs: readonly { readonly node: number; readonly output: number }[];
  readonly lane: number;
}

/** A graph made ready to run. */
export interface Program<B extends Buffer> {
  run(inputs: readonly B[]): B[];
  /** The same without blocking this thread. */
  runAsync(inputs: readonly B[]): Promise<B[]>;
  release(): void;
}

export interface Compiler<B extends Buffer> {
  compile(graph: Graph): Program<B>;
}

/** What a graph of a run is fed and what comes out; no program where nothing does. */
interface Prepared<B extends Buffer> {
  program: Program<B> | null;
  inputs: B[];
  outputs: Value<B>[];
}

export class LazyGraph<B extends Buffer> {
  readonly statistics: WorkStatistics = {
    recorded: 0,
    graphs: 0,
    nodes: 0,
    compiled: 0,
    compileSeconds: 0,
    runSeconds: 0,
    partSeconds: {},
  };
  #nextId = 0;
  #segment = 0;
  /** Id of the first node of the current segment. */
  #segmentStart = 0;
  #part: string | undefined;
  /** Nodes that have not run. */
  readonly #pending = new Set<Node<B>>();
  readonly #programs = new Map<string, Program<B>>();
  #running: Promise<unknown> | null = null;

  /** Of more than `maxPrograms` programs the least recently used go. */
  constructor(
    private readonly compiler: Compiler<B>,
    private readonly maxPrograms = Number.POSITIVE_INFINITY,
  ) {}

  /** A value whose content is there. */
  known(info: ValueInfo, buffer: B): Value<B> {
    const value = new Value<B>(info.shape, info.dtype);
    value.buffer = buffer;
    return value;
  }

  /** Records an operation; its results are pending. */
  record(call: Call<B>): readonly Value<B>[] {
    this.statistics.recorded++;
    const node = new Node(this.#nextId++, this.#segment, call, this.#part, this.#pending);
    return node.outputs;
  }

  /**
   * Operations recorded from here on run in graphs of their own, after the earlier ones. At such a place few values are
   * alive; what is freed by the earlier graphs can be used by the later ones, and equal parts of a model become equal
   * graphs, compiled once. `part` is what their time is counted for.
   */
  mark(part = this.#part): void {
    this.#part = part;
    if (this.#nextId === this.#segmentStart) return;
    this.#segment++;
    this.#segmentStart = this.#nextId;
  }

  /** Gives up one reference. Returns whether it was the last. */
  release(value: Value<B>): boolean {
    value.handles--;
    if (value.handles > 0) return false;
    value.collect();
    return true;
  }

  /** The content of a value, computed now if need be, together with all that it depends on. */
  read(value: Value<B>): B {
    if (value.isPending) {
      if (this.#running)
        throw new Error(
          'a tensor was read synchronously while another read is under way: await that one first',
        );
      for (const work of this.#run([value])) {
        const start = performance.now();
        const results = work.program.run(work.inputs);
        work.finish(results, start);
      }
    }
    return contentOf(value);
  }

  /** The same without blocking this thread; `use` gets the content. Reads wait for each other. */
  async readAsync<T>(value: Value<B>, use: (content: B) => T): Promise<T> {
    // Held meanwhile: who asked may give up the last reference before the content is there.
    value.uses++;
    try {
      await this.#exclusively(() => (value.isPending ? [value] : []));
      return use(contentOf(value));
    } finally {
      value.uses--;
      value.collect();
    }
  }

  /** Computes everything that is recorded and still held, without blocking this thread. */
  async finish(): Promise<void> {
    await this.#exclusively(() =>
      [...this.#pending].flatMap(({ outputs }) => outputs.filter(({ handles }) => handles > 0)),
    );
  }

  /** Runs what `targets` names once no other run is under way. */
  async #exclusively(targets: () => Value<B>[]): Promise<void> {
    while (this.#running) await this.#running.catch(() => {});
    const work = this.#runAsync(targets());
    this.#running = work;
    try {
      await work;
    } finally {
      this.#running = null;
    }
  }

  async #runAsync(targets: readonly Value<B>[]): Promise<void> {
    for (const work of this.#run(targets)) {
      const start = performance.now();
      const results = await work.program.runAsync(work.inputs);
      work.finish(results, start);
    }
  }

  /** Forgets all programs. */
  dispose(): void {
    for (const program of this.#programs.values()) program.release();
    this.#programs.clear();
  }

  /** Yields the graphs that compute `targets`, one after the other; each must be finished before the next is asked for. */
  *#run(targets: readonly Value<B>[]) {
    const planned = pendingNodes(targets);
    for (const node of planned) node.isPlanned = true;
    try {
      for (const nodes of planStages(planned)) {
        const { program, inputs, outputs } = this.#prepare(nodes);
        const finish = (results: readonly B[], begin: number) => {
          this.#count(nodes, (performance.now() - begin) / 1000);
          for (const [i, value] of outputs.entries()) value.buffer = results[i];
          for (const node of nodes) node.detach();
          // A handle may have been given up while the graph ran.
          for (const value of outputs) value.collect();
        };
        // Without a program, nobody is left who wants the results.
        if (program) yield { program, inputs, finish };
        else for (const node of nodes) node.detach();
      }
    } finally {
      // Where a graph failed, the rest is as if it had never been planned.
      for (const node of planned) {
        node.isPlanned = false;
        if (node.isPending && node.isUnwanted) node.detach();
      }
    }
  }

  #count(nodes: readonly Node<B>[], seconds: number): void {
    const { statistics } = this;
    const part = nodes[0].part ?? '';
    statistics.graphs++;
    statistics.nodes += nodes.length;
    statistics.runSeconds += seconds;
    statistics.partSeconds[part] = (statistics.partSeconds[part] ?? 0) + seconds;
  }

  #prepare(nodes: readonly Node<B>[]): Prepared<B> {
    const places = new Map<Value<B>, string>();
    const inputs: Value<B>[] = [];
    const usesInside = new Map<Value<B>, number>();
    const parts: string[] = [];
    for (const [n, node] of nodes.entries()) {
      let key = node.signature;
      for (const { value, shape } of node.call.inputs) {
        let place = places.get(value);
        if (place === undefined) {
          place = `i${inputs.length}:${value.dtype}[${value.shape}]`;
          inputs.push(value);
          places.set(value, place);
        }
        if (value.producer) usesInside.set(value, (usesInside.get(value) ?? 0) + 1);
        key += sameShape(shape, value.shape) ? ` ${place}` : ` ${place}>${shape}`;
      }
      for (const [o, output] of node.outputs.entries()) places.set(output, `n${n}.${o}`);
      parts.push(key);
    }
    const outputs: Value<B>[] = [];
    const kept: { node: number; output: number }[] = [];
    for (const [n, node] of nodes.entries()) {
      for (const [o, value] of node.outputs.entries()) {
        if (value.handles === 0 && value.uses === (usesInside.get(value) ?? 0)) continue;
        outputs.push(value);
        kept.push({ node: n, output: o });
      }
    }
    const lane = nodes[0].lane;
    const key = `${lane}\n${parts.join('\n')}\n${kept.map(({ node, output }) => `${node}.${output}`)}`;
    const program = outputs.length > 0 ? this.#program(key, () => describe(nodes, inputs, kept)) : null;
    return { program, inputs: inputs.map(contentOf), outputs };
  }

  #program(key: string, graph: () => Graph): Program<B> {
    let program = this.#programs.get(key);
    if (program) {
      // Last in the order of insertion = used last.
      this.#programs.delete(key);
    } else {
      const start = performance.now();
      program = this.compiler.compile(graph());
      this.statistics.compiled++;
      this.statistics.compileSeconds += (performance.now() - start) / 1000;
    }
    this.#programs.set(key, program);
    if (this.#programs.size > this.maxPrograms) {
      const [[oldest, unused]] = this.#programs;
      this.#programs.delete(oldest);
      unused.release();
    }
    return program;
  }
}

function contentOf<B extends Buffer>(value: Value<B>): B {
  if (!value.buffer) throw new Error('a tensor was used after its disposal');
  return value.buffer;
}

/** Everything that has to run for `targets`, in the order of recording. */
function pendingNodes<B extends Buffer>(targets: readonly Value<B>[]): Node<B>[] {
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
 * Distributes nodes over graphs that run one after the other: a segment's nodes follow those of the segments before,
 * and inside a segment lanes alternate as often as the dependencies ask for.
 */
function planStages<B extends Buffer>(nodes: readonly Node<B>[]): Node<B>[][] {
  const stages: Node<B>[][] = [];
  let segment = -1;
  let base = 0;
  const inSegment = new Set<Node<B>>();
  for (const node of nodes) {
    if (node.segment !== segment) {
      segment = node.segment;
      base = stages.length;
      inSegment.clear();
    }
    inSegment.add(node);
    let stage = base;
    for (const { value } of node.call.inputs) {
      const { producer } = value;
      if (!producer || !inSegment.has(producer)) continue;
      stage = Math.max(stage, producer.stage + (producer.lane === node.lane ? 0 : 1));
    }
    // The first stage of this lane that is late enough.
    while (stage < stages.length && stages[stage][0].lane !== node.lane) stage++;
    node.stage = stage;
    if (stage === stages.length) stages.push([]);
    stages[stage].push(node);
  }
  return stages;
}

function describe<B extends Buffer>(
  nodes: readonly Node<B>[],
  inputs: readonly Value<B>[],
  outputs: Graph['outputs'],
): Graph {
  const sources = new Map<Value<B>, Source>(inputs.map((value, input) => [value, { input }]));
  for (const [n, node] of nodes.entries()) {
    for (const [output, value] of node.outputs.entries()) sources.set(value, { node: n, output });
  }
  const read = ({ value, shape }: Operand<B>) => ({ source: sources.get(value) as Source, shape });
  return {
    nodes: nodes.map(({ call: { op, attributes, inputs, outputs } }) => ({
      op,
      attributes,
      inputs: inputs.map(read),
      outputs,
    })),
    inputs: inputs.map(({ shape, dtype }) => ({ shape, dtype })),
    outputs,
    lane: nodes[0].lane,
  };
}
