/**
 * @file The lazy graph: it records operations and runs them when a value is read, in as few compiled graphs as possible.
 *
 * A `Compiler` turns a graph into an executable, once for each structural key: operations, attributes, shapes, wiring
 * and the layouts of the inputs. Values are inputs and never part of the key.
 */
import type { BreakKind, LazyStatistics } from '../lazy_hints.js';
import type { GraphObserver, Origin } from './capture.js';
import type { Compiler, Graph } from './compiler.js';
import { type CachedExecutable, ExecutableCache } from './executables.js';
import type { ExecutableRun } from './script.js';
import type { ScriptHost } from './script_run.js';
import {
  cutIntoSegments,
  describeSegment,
  graphStream,
  groupSegments,
  keptOutputs,
  pendingNodes,
  wiringOf,
} from './segments.js';
import { runTogether } from './together.js';
import { type Buffer, type Call, Node, Value, type ValueInfo } from './value.js';

/** A segment that is about to run. It keeps its executable until `entry.drop`. */
interface Run<B extends Buffer> {
  readonly entry: CachedExecutable<B>;
  readonly inputs: readonly B[];
  /** Stores the results. */
  finish(results: readonly B[], seconds: number): void;
}

export interface LazyGraphOptions {
  /** Executables that are kept; the least recently used is released first. */
  readonly maxExecutables?: number;
  /** Operations after which a break between layers counts. */
  readonly minLayerNodes?: number;
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
    readSeconds: 0,
  };
  #nextId = 0;
  /** Graph breaks so far that separate operations. */
  #breaks = 0;
  /** Id of the first node after the last graph break. */
  #breakId = 0;
  #region: string | undefined;
  /** Nodes that have not run. */
  readonly #pending = new Set<Node<B>>();
  readonly #executables: ExecutableCache<B>;
  readonly #minLayerNodes: number;
  #running: Promise<unknown> | null = null;
  #observer: GraphObserver<B> | null = null;

  constructor(
    private readonly compiler: Compiler<B>,
    { maxExecutables = Number.POSITIVE_INFINITY, minLayerNodes = 0 }: LazyGraphOptions = {},
  ) {
    this.#executables = new ExecutableCache(maxExecutables);
    this.#minLayerNodes = minLayerNodes;
  }

  /** Makes a value with known content. `origin` is its content on the host, for captures; null if it is undefined. */
  known(info: ValueInfo, buffer: B, origin: Origin | null = null): Value<B> {
    const value = new Value<B>(info.shape, info.dtype);
    value.buffer = buffer;
    this.#observer?.known(buffer, info, origin);
    return value;
  }

  /** Tells an observer everything that happens from now on, until the next call; null ends that. */
  observe(observer: GraphObserver<B> | null): void {
    this.#observer = observer;
  }

  /** Makes an executable that is still kept the most recently used. */
  touch(entry: CachedExecutable<B>): void {
    this.#executables.touch(entry);
  }

  /** What runs of scripts need of the graph. */
  scriptHost(): Pick<ScriptHost<B>, 'exclusively' | 'timed' | 'count'> {
    return {
      timed: (read) => this.#timed(read),
      exclusively: (work) => this.#exclusively(work),
      count: (step, seconds) => this.#count(step, seconds),
    };
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
  graphBreak(region = this.#region, kind: BreakKind = 'required'): void {
    this.#region = region;
    const nodes = this.#nextId - this.#breakId;
    if (nodes === 0 || (kind === 'layer' && nodes < this.#minLayerNodes)) return;
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
      for (const group of this.#runs([value])) {
        for (const run of group) {
          const start = performance.now();
          run.finish(run.entry.executable.run(run.inputs), (performance.now() - start) / 1000);
        }
      }
    }
    return this.#content(value);
  }

  /** Calls `use` with the content of a value, without blocking this thread. Reads wait for each other. */
  async readAsync<T>(value: Value<B>, use: (content: B) => T | Promise<T>): Promise<T> {
    // A reference of our own: the caller may release the last one before the content is computed.
    value.uses++;
    try {
      return await this.#exclusively(async () => {
        await this.#runAsync(value.isPending ? [value] : []);
        return this.#timed(async () => use(this.#content(value)));
      });
    } finally {
      value.uses--;
      value.collect();
    }
  }

  /** Computes everything that is recorded and still referenced, without blocking this thread. */
  async sync(): Promise<void> {
    await this.#exclusively(() =>
      this.#runAsync(
        [...this.#pending].flatMap(({ outputs }) => outputs.filter(({ handles }) => handles > 0)),
      ),
    );
  }

  /** Does `work` as soon as no other run is under way. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running) await this.#running.catch(() => {});
    const running = work();
    this.#running = running;
    try {
      return await running;
    } finally {
      this.#running = null;
    }
  }

  async #runAsync(targets: readonly Value<B>[]): Promise<void> {
    for (const group of this.#runs(targets)) {
      await runTogether(group, (run, results, seconds) => group[run].finish(results, seconds));
    }
  }

  /** Releases all executables. */
  dispose(): void {
    this.#executables.dispose();
  }

  /**
   * Yields the runs that compute `targets`, in order, in groups that can run at the same time. All runs of a group must be
   * finished before the next group is requested.
   */
  *#runs(targets: readonly Value<B>[]): Generator<Run<B>[]> {
    const planned = pendingNodes(targets);
    for (const node of planned) node.isPlanned = true;
    let group: Run<B>[] = [];
    try {
      for (const segments of groupSegments(cutIntoSegments(planned))) {
        group = [];
        for (const segment of segments) this.#prepare(segment, group);
        yield group;
        for (const { entry } of group.splice(0)) entry.drop();
      }
    } finally {
      for (const { entry } of group) entry.drop();
      // After a failure the remaining nodes are as if they had never been planned.
      for (const node of planned) {
        node.isPlanned = false;
        if (node.isPending && node.isUnwanted) node.detach();
      }
    }
  }

  /** Adds the run of a segment to its group. */
  #prepare(segment: readonly Node<B>[], group: Run<B>[]): void {
    const { key, inputs, usesInside } = wiringOf(segment);
    const kept = keptOutputs(segment, usesInside);
    if (kept.length === 0) {
      // All references to the results have been released.
      for (const node of segment) node.detach();
      return;
    }
    const fullKey = `${graphStream(segment)}\n${key}\n${kept.map(({ node, output }) => `${node}.${output}`)}`;
    const entry = this.#executable(fullKey, () => describeSegment(segment, inputs, kept));
    const buffers = inputs.map(contentOf);
    const shared = {
      entry,
      inputs: buffers,
      isTogether: group.length > 0,
      region: segment[0].region ?? '',
      nodes: segment.length,
    };
    // Preparing the next run of the group may evict the executable.
    entry.retain();
    group.push({
      entry,
      inputs: buffers,
      finish: (results, seconds) => {
        this.#count(shared, seconds);
        this.#observer?.ran({ ...shared, outputs: results });
        const outputs = kept.map(({ node, output }) => segment[node].outputs[output]);
        for (const [i, value] of outputs.entries()) value.buffer = results[i];
        for (const node of segment) node.detach();
        // References may have been released while the graph ran.
        for (const value of outputs) value.collect();
      },
    });
  }

  #count({ region, nodes }: Pick<ExecutableRun<B, B>, 'region' | 'nodes'>, seconds: number): void {
    const { statistics } = this;
    statistics.graphs++;
    statistics.nodes += nodes;
    statistics.runSeconds += seconds;
    statistics.regionSeconds[region] = (statistics.regionSeconds[region] ?? 0) + seconds;
  }

  #executable(key: string, graph: () => Graph): CachedExecutable<B> {
    return this.#executables.get(key, () => {
      const start = performance.now();
      const executable = this.compiler.compile(graph());
      this.statistics.compiled++;
      this.statistics.compileSeconds += (performance.now() - start) / 1000;
      return executable;
    });
  }

  /** Counts the time of a read. */
  async #timed<T>(read: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await read();
    this.statistics.readSeconds += (performance.now() - start) / 1000;
    return result;
  }

  /** The content of a value that the host reads. */
  #content(value: Value<B>): B {
    const content = contentOf(value);
    this.#observer?.read(content);
    return content;
  }
}

function contentOf<B extends Buffer>(value: Value<B>): B {
  if (!value.buffer) throw new Error('a tensor was used after its disposal');
  return value.buffer;
}
