/** @file An engine as a dry run needs it: it records operations and plans graphs, but computes nothing. */
import type { Compiler, Executable, Graph } from '../lazy/compiler.js';
import type { RecordedKernelSet } from '../record/kernel.js';
import type { tf } from '../tfjs.js';
import { CountedTensor, type MemoryCounter, type StoredAs } from './counter.js';

export interface DryEngine {
  /** The name in tfjs of the backend. */
  readonly name: string;
  readonly kernels: RecordedKernelSet;
  /** Makes a backend whose tensors are counted. */
  backend(counter: MemoryCounter): tf.KernelBackend;
}

/** What a run of a graph needs. */
export interface PlannedGraph {
  /** Bytes of its results and temporaries. */
  readonly working: number;
  /** How its results are stored; null if as their types say. */
  readonly outputs: readonly StoredAs[] | null;
  /** Called when the graph runs. */
  readonly onRun?: () => void;
}

/** Compiles graphs to executables that only count their memory. */
export class CountingCompiler implements Compiler<CountedTensor> {
  constructor(
    private readonly counter: MemoryCounter,
    private readonly plan: (graph: Graph) => PlannedGraph,
  ) {}

  compile(graph: Graph): Executable<CountedTensor> {
    const planned = this.plan(graph);
    const results = graph.outputs.map(({ node, output }) => graph.nodes[node].outputs[output]);
    const make = () => results.map((info, n) => new CountedTensor(this.counter, info, planned.outputs?.[n]));
    return {
      run: () => {
        planned.onRun?.();
        this.counter.use(planned.working)();
        return make();
      },
      runAsync: async () => {
        planned.onRun?.();
        const end = this.counter.use(planned.working);
        // Other runs may begin before this one ends.
        await Promise.resolve();
        end();
        return make();
      },
      release: () => {},
    };
  }
}
