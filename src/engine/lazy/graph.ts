/**
 * @file The lazy graph: it records operations and runs them when a value is read, in as few compiled graphs as possible.
 *
 * A `Compiler` turns a graph into an executable, once for each structural key: operations, attributes, shapes and wiring.
 * Values are inputs and never part of the key.
 */
import type { LazyStatistics } from '../lazy_hints.js';
import type { Compiler, Executable, Graph } from './compiler.js';
import { cutIntoSegments, describeSegment, keptOutputs, pendingNodes, wiringOf } from './segments.js';
import { type Buffer, type Call, Node, Value, type ValueInfo } from './value.js';

/** A segment that is about to run. */
interface Run<B extends Buffer> {
  executable: Executable<B>;
  inputs: B[];
  /** Stores the results; `start` is the time at which the run began. */
  finish(results: readonly B[], start: number): void;
}

/** Records operations, and computes values when they are read. */
export class LazyGraph<B extends Buffer> {
  readonly statistics: LazyStatistics = {
    recorded: 0,
    graphs: 0,
    nodes: 0,
    compiled: 0,
    compileSeconds: 0,
    runSeconds: 0,
    regionSeconds: {},
  };
  #nextId = 0;
  /** Graph breaks so far that separate operations. */
  #breaks = 0;
  /** Id of the first node after the last graph break. */
  #breakId = 0;
  #region: string | undefined;
  /** Nodes that have not run. */
  readonly #pending = new Set<Node<B>>();
  readonly #executables = new Map<string, Executable<B>>();
  #running: Promise<unknown> | null = null;

  /** Keeps at most `maxExecutables`; the least recently used is released first. */
  constructor(
    private readonly compiler: Compiler<B>,
    private readonly maxExecutables = Number.POSITIVE_INFINITY,
  ) {}

  /** Makes a value with known content. */
  known(info: ValueInfo, buffer: B): Value<B> {
    const value = new Value<B>(info.shape, info.dtype);
    value.buffer = buffer;
    return value;
  }

  /** Records an operation; its results are pending. */
  record(call: Call<B>): readonly Value<B>[] {
    this.statistics.recorded++;
    const place = { id: this.#nextId++, breaks: this.#breaks, region: this.#region };
    return new Node(place, call, this.#pending).outputs;
  }

  /**
   * Ends the current graphs: operations recorded from now on run in other graphs, after the earlier ones. A good place has few
   * live values. Later graphs can then use the memory of earlier ones, and equal layers of a model become equal graphs, which
   * are compiled once. `region` names the next operations in the statistics.
   */
  graphBreak(region = this.#region): void {
    this.#region = region;
    if (this.#nextId === this.#breakId) return;
    this.#breaks++;
    this.#breakId = this.#nextId;
  }

  /** Releases one reference. Returns whether it was the last. */
  release(value: Value<B>): boolean {
    value.handles--;
    if (value.handles > 0) return false;
    value.collect();
    return true;
  }

  /** Returns the content of a value, after computing it and everything that it depends on. */
  read(value: Value<B>): B {
    if (value.isPending) {
      if (this.#running)
        throw new Error(
          'a tensor was read synchronously while another read is under way: await that one first',
        );
      for (const run of this.#runs([value])) {
        const start = performance.now();
        run.finish(run.executable.run(run.inputs), start);
      }
    }
    return contentOf(value);
  }

  /** Calls `use` with the content of a value, without blocking this thread. Reads wait for each other. */
  async readAsync<T>(value: Value<B>, use: (content: B) => T): Promise<T> {
    // A reference of our own: the caller may release the last one before the content is computed.
    value.uses++;
    try {
      await this.#exclusively(() => (value.isPending ? [value] : []));
      return use(contentOf(value));
    } finally {
      value.uses--;
      value.collect();
    }
  }

  /** Computes everything that is recorded and still referenced, without blocking this thread. */
  async sync(): Promise<void> {
    await this.#exclusively(() =>
      [...this.#pending].flatMap(({ outputs }) => outputs.filter(({ handles }) => handles > 0)),
    );
  }

  /** Computes `targets()` as soon as no other run is under way. */
  async #exclusively(targets: () => Value<B>[]): Promise<void> {
    while (this.#running) await this.#running.catch(() => {});
    const running = this.#runAsync(targets());
    this.#running = running;
    try {
      await running;
    } finally {
      this.#running = null;
    }
  }

  async #runAsync(targets: readonly Value<B>[]): Promise<void> {
    for (const run of this.#runs(targets)) {
      const start = performance.now();
      run.finish(await run.executable.runAsync(run.inputs), start);
    }
  }

  /** Releases all executables. */
  dispose(): void {
    for (const executable of this.#executables.values()) executable.release();
    this.#executables.clear();
  }

  /** Yields the runs that compute `targets`, in order; each must be finished before the next is requested. */
  *#runs(targets: readonly Value<B>[]): Generator<Run<B>> {
    const planned = pendingNodes(targets);
    for (const node of planned) node.isPlanned = true;
    try {
      for (const segment of cutIntoSegments(planned)) {
        const run = this.#prepare(segment);
        // Without a run, all references to the results have been released.
        if (run) yield run;
        else for (const node of segment) node.detach();
      }
    } finally {
      // After a failure the remaining nodes are as if they had never been planned.
      for (const node of planned) {
        node.isPlanned = false;
        if (node.isPending && node.isUnwanted) node.detach();
      }
    }
  }

  /** Returns null if no result of the segment is referenced any more. */
  #prepare(segment: readonly Node<B>[]): Run<B> | null {
    const { key, inputs, usesInside } = wiringOf(segment);
    const kept = keptOutputs(segment, usesInside);
    if (kept.length === 0) return null;
    const fullKey = `${segment[0].stream}\n${key}\n${kept.map(({ node, output }) => `${node}.${output}`)}`;
    return {
      executable: this.#executable(fullKey, () => describeSegment(segment, inputs, kept)),
      inputs: inputs.map(contentOf),
      finish: (results, start) => {
        this.#count(segment, (performance.now() - start) / 1000);
        const outputs = kept.map(({ node, output }) => segment[node].outputs[output]);
        for (const [i, value] of outputs.entries()) value.buffer = results[i];
        for (const node of segment) node.detach();
        // References may have been released while the graph ran.
        for (const value of outputs) value.collect();
      },
    };
  }

  #count(segment: readonly Node<B>[], seconds: number): void {
    const { statistics } = this;
    const region = segment[0].region ?? '';
    statistics.graphs++;
    statistics.nodes += segment.length;
    statistics.runSeconds += seconds;
    statistics.regionSeconds[region] = (statistics.regionSeconds[region] ?? 0) + seconds;
  }

  #executable(key: string, graph: () => Graph): Executable<B> {
    let executable = this.#executables.get(key);
    if (executable) {
      // Inserted again below: the map is in the order of use.
      this.#executables.delete(key);
    } else {
      const start = performance.now();
      executable = this.compiler.compile(graph());
      this.statistics.compiled++;
      this.statistics.compileSeconds += (performance.now() - start) / 1000;
    }
    this.#executables.set(key, executable);
    if (this.#executables.size > this.maxExecutables) {
      const [[oldest, unused]] = this.#executables;
      this.#executables.delete(oldest);
      unused.release();
    }
    return executable;
  }
}

function contentOf<B extends Buffer>(value: Value<B>): B {
  if (!value.buffer) throw new Error('a tensor was used after its disposal');
  return value.buffer;
}
