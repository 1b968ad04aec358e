/** @file A lazy graph of plain numbers, with a compiler that logs its calls. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Compiler, Executable, Graph } from '../../src/engine/lazy/compiler.js';
import { LazyGraph } from '../../src/engine/lazy/graph.js';
import type { HostMemory } from '../../src/engine/lazy/host_memory.js';
import { ScriptRun } from '../../src/engine/lazy/script_run.js';
import { type Computation, type Recording, Scripts } from '../../src/engine/lazy/scripts.js';
import type { Buffer, LazyDtype, Value } from '../../src/engine/lazy/value.js';

/** Stands for the memory of one value; releasing it twice and using it afterwards, or after it was donated, are errors. */
class Cell implements Buffer {
  isDonated = false;

  constructor(
    private readonly number: number,
    private readonly alive: Set<Cell>,
    readonly layout?: string,
  ) {
    alive.add(this);
  }

  read(): number {
    if (!this.alive.has(this) || this.isDonated) throw new Error('a released or donated cell was read');
    return this.number;
  }

  release(): void {
    if (!this.alive.delete(this)) throw new Error('a cell was released twice');
  }
}

/** Modulus of the numbers: sums of sums stay exact, and operands differ from each other. */
const MODULUS = 1_000_003;

/** Output `o` of an operation on `operands`; every operand and every operation contributes differently. */
export function result(op: string, operands: readonly number[], o: number): number {
  const seed = [...op].reduce((sum, c) => (31 * sum + c.charCodeAt(0)) % MODULUS, 7 + o);
  return operands.reduce((sum, x, i) => (31 * sum + (i + 2) * x) % MODULUS, seed);
}

/** Interprets graphs, and logs which ones were compiled, run and released. */
export class Interpreter implements Compiler<Cell> {
  readonly alive = new Set<Cell>();
  readonly compiled: Graph[] = [];
  readonly ran: Graph[] = [];
  readonly released: Graph[] = [];
  /** The numbers in the cells that the runs were given for their results. */
  readonly donated: number[] = [];
  /** The error of the next runs. */
  failure: Error | null = null;
  /** A promise that asynchronous runs wait for. */
  gate: Promise<unknown> | null = null;
  /** The layout of the cells that are made from now on. */
  layout: string | undefined;

  cell(number: number): Cell {
    return new Cell(number, this.alive, this.layout);
  }

  compile(graph: Graph): Executable<Cell> {
    this.compiled.push(graph);
    return {
      run: (inputs) => this.#run(graph, inputs),
      runAsync: async (inputs, donated = new Set()) => {
        await (this.gate ?? setImmediate());
        // A native run reads its inputs until it ends.
        const results = this.#run(graph, inputs);
        for (const cell of donated) {
          this.donated.push(cell.read());
          cell.isDonated = true;
        }
        return results;
      },
      release: () => {
        if (this.released.includes(graph)) throw new Error('an executable was released twice');
        this.released.push(graph);
      },
    };
  }

  #run(graph: Graph, inputs: readonly Cell[]): Cell[] {
    if (this.released.includes(graph)) throw new Error('a released executable was run');
    this.ran.push(graph);
    const numbers = inputs.map((input) => input.read());
    if (this.failure) throw this.failure;
    const results: number[][] = [];
    for (const { op, inputs, outputs } of graph.nodes) {
      const operands = inputs.map(({ source }) =>
        'input' in source ? numbers[source.input] : results[source.node][source.output],
      );
      results.push(outputs.map((_, o) => result(op, operands, o)));
    }
    return graph.outputs.map(({ node, output }) => this.cell(results[node][output]));
  }
}

export type Handle = Value<Cell>;

export interface CallOptions {
  attributes?: object;
  stream?: number;
  shape?: readonly number[];
  dtype?: LazyDtype;
  /** Shape to read the first operand in. */
  view?: readonly number[];
  results?: number;
}

export function makeGraph(maxExecutables?: number, maxScripts?: number) {
  const interpreter = new Interpreter();
  const graph = new LazyGraph<Cell>(interpreter, { maxExecutables });
  const memory: HostMemory<Cell> = {
    write: (_, content) => interpreter.cell(content[0]),
    lend: (_, content) => interpreter.cell(content[0]),
    read: (cell) => Float32Array.of(cell.read()),
  };
  const scripts = new Scripts<Cell>(graph, memory, maxScripts);
  const make = (number: number, isFeed: boolean, shape: readonly number[], dtype: LazyDtype): Handle =>
    graph.known({ shape, dtype }, interpreter.cell(number), { content: Float32Array.of(number), isFeed });
  const known = (number: number, shape: readonly number[] = [2], dtype: LazyDtype = 'float32') =>
    make(number, false, shape, dtype);
  const feed = (number: number) => make(number, true, [2], 'float32');
  const calls = (op: string, inputs: readonly Handle[], options: CallOptions = {}) => {
    const { attributes = {}, stream, shape = [2], dtype = 'float32', view, results = 1 } = options;
    return graph.record({
      op,
      attributes,
      stream,
      inputs: inputs.map((value, i) => ({ value, shape: i === 0 && view ? view : value.shape })),
      outputs: Array.from({ length: results }, () => ({ shape, dtype })),
    });
  };
  const call = (op: string, inputs: readonly Handle[], options?: CallOptions) =>
    calls(op, inputs, options)[0];
  const read = (value: Handle) => graph.read(value).read();
  const readAsync = (value: Handle) => graph.readAsync(value, (content) => content.read());
  /** The operations of every graph that ran. */
  const ran = () => interpreter.ran.map(({ nodes }) => nodes.map(({ op }) => op));
  return { interpreter, graph, scripts, known, feed, calls, call, read, readAsync, ran };
}

/** Begins a computation that is captured, unless a script runs it. */
export function begin(
  scripts: Scripts<Cell>,
  computation: Partial<Computation<Cell>>,
): { run: ScriptRun<Cell> | null; recording: Recording<Cell> | null } {
  const begun = scripts.begin({
    owners: [scripts],
    key: '',
    borrowed: [],
    consumed: [],
    replaced: [],
    release: () => {},
    ...computation,
  });
  return begun instanceof ScriptRun ? { run: begun, recording: null } : { run: null, recording: begun };
}

/** Runs Node's garbage collector. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

/** Holds asynchronous runs back until the returned function is called. */
export function hold(interpreter: Interpreter): () => void {
  let open: (() => void) | undefined;
  interpreter.gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    interpreter.gate = null;
    open?.();
  };
}
