/** @file The lazy graph alone, over contents that are plain numbers: what runs, what is kept, compiled and freed, and when. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Compiler, type Graph, type GraphNode, LazyGraph, type Program } from './graph.js';
import type { Buffer, LazyDtype, Value } from './value.js';

/** Stands for the memory of one value; releasing it twice and using it afterwards are errors. */
class Cell implements Buffer {
  constructor(
    private readonly number: number,
    private readonly alive: Set<Cell>,
  ) {
    alive.add(this);
  }

  read(): number {
    if (!this.alive.has(this)) throw new Error('a released cell was read');
    return this.number;
  }

  release(): void {
    if (!this.alive.delete(this)) throw new Error('a cell was released twice');
  }
}

/** Keeps sums of sums exact, and tells operands apart from each other. */
const MODULUS = 1_000_003;

/** What output `o` of an operation on `operands` is: every operand counts differently, and so does the operation. */
function result(op: string, operands: readonly number[], o: number): number {
  const seed = [...op].reduce((sum, c) => (31 * sum + c.charCodeAt(0)) % MODULUS, 7 + o);
  return operands.reduce((sum, x, i) => (31 * sum + (i + 2) * x) % MODULUS, seed);
}

/** Interprets graphs, and remembers which ones it was asked to compile, to run and to forget. */
class Interpreter implements Compiler<Cell> {
  readonly alive = new Set<Cell>();
  readonly compiled: Graph[] = [];
  readonly ran: Graph[] = [];
  readonly released: Graph[] = [];
  /** What the next runs fail with. */
  failure: Error | null = null;
  /** What asynchronous runs wait for. */
  gate: Promise<unknown> | null = null;

  cell(number: number): Cell {
    return new Cell(number, this.alive);
  }

  compile(graph: Graph): Program<Cell> {
    this.compiled.push(graph);
    return {
      run: (inputs) => this.#run(graph, inputs),
      runAsync: async (inputs) => {
        await (this.gate ?? setImmediate());
        // A native run reads its inputs until it ends.
        return this.#run(graph, inputs);
      },
      release: () => {
        if (this.released.includes(graph)) throw new Error('a program was released twice');
        this.released.push(graph);
      },
    };
  }

  #run(graph: Graph, inputs: readonly Cell[]): Cell[] {
    if (this.released.includes(graph)) throw new Error('a released program was run');
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

type Handle = Value<Cell>;

interface CallOptions {
  attributes?: object;
  lane?: number;
  shape?: readonly number[];
  dtype?: LazyDtype;
  /** Shape to read the first operand in. */
  view?: readonly number[];
  results?: number;
}

function make(maxPrograms?: number) {
  const interpreter = new Interpreter();
  const graph = new LazyGraph<Cell>(interpreter, maxPrograms);
  const known = (number: number, shape: readonly number[] = [2], dtype: LazyDtype = 'float32'): Handle =>
    graph.known({ shape, dtype }, interpreter.cell(number));
  const calls = (op: string, inputs: readonly Handle[], options: CallOptions = {}) => {
    const { attributes = {}, lane, shape = [2], dtype = 'float32', view, results = 1 } = options;
    return graph.record({
      op,
      attributes,
      lane,
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
  return { interpreter, graph, known, calls, call, read, readAsync, ran };
}

/** Node's garbage collector, which is there for whoever asks. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

/** Holds asynchronous runs back until the returned function is called. */
function hold(interpreter: Interpreter): () => void {
  let open: (() => void) | undefined;
  interpreter.gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    interpreter.gate = null;
    open?.();
  };
}

describe('memory', () => {
  it('frees a known value with its last handle', () => {
    const { interpreter, graph, known } = make();
    const a = known(1);
    a.handles++;
    expect(graph.release(a)).toBe(false);
    expect(interpreter.alive.size).toBe(1);
    expect(graph.release(a)).toBe(true);
    expect(interpreter.alive.size).toBe(0);
    expect(() => graph.read(a)).toThrow('used after its disposal');
  });

  it('keeps an operand that is given up until the last operation on it has run', () => {
    const { interpreter, graph, known, call, read } = make();
    const a = known(5);
    const [b, c] = [call('f', [a]), call('g', [a, a])];
    expect(graph.release(a)).toBe(true);
    expect(interpreter.alive.size).toBe(1);
    expect(read(b)).toBe(result('f', [5], 0));
    expect(interpreter.alive.size).toBe(2);
    expect(read(c)).toBe(result('g', [5, 5], 0));
    // `a` is gone, b and c are there.
    expect(interpreter.alive.size).toBe(2);
    graph.release(b);
    graph.release(c);
    expect(interpreter.alive.size).toBe(0);
  });

  it('keeps an operand that has a handle when the operations on it have run', () => {
    const { interpreter, graph, known, call, read } = make();
    const a = known(5);
    const b = call('f', [a]);
    read(b);
    graph.release(b);
    expect(read(a)).toBe(5);
    expect(interpreter.alive.size).toBe(1);
  });

  it('never runs what nobody wants, and frees what only that would have used', () => {
    const { interpreter, graph, known, call, calls, read, ran } = make();
    const a = known(1);
    const inner = call('inner', [a]);
    const dead = call('dead', [inner]);
    graph.release(inner);
    const [first, second] = calls('pair', [a], { results: 2 });
    const wanted = call('wanted', [a]);
    // The inner result is still used by `dead`, which goes with its only result; of a pair both must be given up.
    graph.release(dead);
    graph.release(first);
    graph.release(a);
    read(wanted);
    expect(ran()).toEqual([['wanted']]);
    expect(interpreter.alive.size).toBe(2);
    graph.release(second);
    expect(interpreter.alive.size).toBe(1);
  });

  it('computes of an operation with several results only those that are wanted', () => {
    const { interpreter, graph, known, calls, read } = make();
    const [first, second, third] = calls('triple', [known(3)], { results: 3 });
    graph.release(second);
    expect(read(third)).toBe(result('triple', [3], 2));
    expect(interpreter.ran[0].outputs).toEqual([
      { node: 0, output: 0 },
      { node: 0, output: 2 },
    ]);
    expect(read(first)).toBe(result('triple', [3], 0));
    expect(() => graph.read(second)).toThrow('used after its disposal');
    expect(interpreter.ran).toHaveLength(1);
  });

  it('remembers nothing of what has run or was dropped', async () => {
    const { graph, known, call, read } = make();
    const a = known(1);
    const used = () => {
      const values = [call('f', [a]), call('g', [a])];
      read(values[0]);
      for (const value of values) graph.release(value);
      return values.map((value) => new WeakRef(value));
    };
    const references = used();
    collectGarbage();
    await setImmediate(); // A WeakRef holds its target until the turn that made it ends.
    collectGarbage();
    expect(references.map((reference) => reference.deref())).toEqual([undefined, undefined]);
    expect(read(a)).toBe(1);
  });

  it('drops and runs long chains', () => {
    const { interpreter, graph, known, call, read } = make();
    const chain = (start: Handle) => {
      let value = start;
      for (let n = 0; n < 20_000; n++) {
        // Twice, so that there are as many ways through it as there can be.
        const next = call('f', [value, value]);
        if (value !== start) graph.release(value);
        value = next;
      }
      return value;
    };
    const a = known(1);
    graph.release(chain(a));
    expect(interpreter.alive.size).toBe(1);
    const end = chain(a);
    let expected = 1;
    for (let n = 0; n < 20_000; n++) expected = result('f', [expected, expected], 0);
    expect(read(end)).toBe(expected);
    expect(graph.statistics).toMatchObject({ recorded: 40_000, graphs: 1, nodes: 20_000 });
    expect(interpreter.alive.size).toBe(2);
  });
});

describe('what a read computes', () => {
  it('is the operations that the value depends on, in one graph and in their order', () => {
    const { interpreter, known, call, read, ran } = make();
    const [a, b] = [known(1), known(2)];
    const c = call('c', [a]);
    call('other', [b]);
    const d = call('d', [b, c]);
    expect(read(d)).toBe(result('d', [2, result('c', [1], 0)], 0));
    expect(ran()).toEqual([['c', 'd']]);
    expect(interpreter.ran[0].inputs).toHaveLength(2);
    read(d);
    expect(interpreter.ran).toHaveLength(1);
  });

  it('keeps what has a handle or is used outside, and nothing else', () => {
    const { interpreter, graph, known, call, read } = make();
    const a = known(1);
    const held = call('held', [a]);
    const used = call('used', [a]);
    const inner = call('inner', [a]);
    const target = call('target', [inner, held, used, inner]);
    const later = call('later', [used]);
    for (const value of [used, inner]) graph.release(value);
    read(target);
    const [{ nodes, outputs }] = interpreter.ran;
    expect(outputs.map(({ node }) => nodes[node].op)).toEqual(['held', 'used', 'target']);
    expect(interpreter.alive.size).toBe(4);
    // What was kept for it is not computed again.
    expect(read(later)).toBe(result('later', [result('used', [1], 0)], 0));
    expect(interpreter.ran[1].nodes.map(({ op }) => op)).toEqual(['later']);
    expect(read(held)).toBe(result('held', [1], 0));
    expect(interpreter.ran).toHaveLength(2);
    expect(interpreter.alive.size).toBe(4); // a, held, target, later
  });

  it('says in which shape an operand is read', () => {
    const { interpreter, known, call, read } = make();
    read(call('f', [known(1, [2, 3])], { view: [6], shape: [1] }));
    expect(interpreter.compiled[0].inputs).toEqual([{ shape: [2, 3], dtype: 'float32' }]);
    expect(interpreter.compiled[0].nodes[0].inputs).toEqual([{ source: { input: 0 }, shape: [6] }]);
  });
});

describe('programs', () => {
  /** A small graph with everything that could differ; `changes` to its second operation, the rest by name. */
  interface Variation {
    changes?: CallOptions;
    op?: string;
    shape?: readonly number[];
    dtype?: LazyDtype;
    /** The same value on both sides, or the sides exchanged. */
    wiring?: 'twice' | 'swapped';
    keepsInner?: boolean;
    number?: number;
  }
  const runOne = ({ graph, known, call, read }: ReturnType<typeof make>, variation: Variation = {}) => {
    const { changes, op = 'g', shape = [2, 3], dtype = 'float32', wiring, number = 1 } = variation;
    const [a, b] = [known(number, shape, dtype), known(number + 1, shape, dtype)];
    const inner = call('f', [a], { attributes: { k: [1, 2] } });
    const other = wiring === 'twice' ? inner : b;
    const target = call(op, wiring === 'swapped' ? [other, inner] : [inner, other], {
      attributes: { eps: 1e-6 },
      ...changes,
    });
    if (!variation.keepsInner) graph.release(inner);
    read(target);
  };

  it('are compiled once for one structure, whatever the values', () => {
    const made = make();
    for (let number = 0; number < 5; number++) runOne(made, { number });
    expect(made.interpreter.compiled).toHaveLength(1);
    expect(made.interpreter.ran).toHaveLength(5);
  });

  it.each<[string, Variation]>([
    ['operation', { op: 'h' }],
    ['attribute', { changes: { attributes: { eps: 1e-5 } } }],
    ['name of an attribute', { changes: { attributes: { epsilon: 1e-6 } } }],
    ['shape of an input', { shape: [3, 2] }],
    ['rank of an input', { shape: [1, 2, 3] }],
    ['type of an input', { dtype: 'int32' }],
    ['shape of a result', { changes: { shape: [1, 2] } }],
    ['type of a result', { changes: { dtype: 'bool' } }],
    ['number of results', { changes: { results: 2 } }],
    ['order of operands', { wiring: 'swapped' }],
    ['source of an operand', { wiring: 'twice' }],
    ['choice of what is kept', { keepsInner: true }],
    ['lane', { changes: { lane: 1 } }],
    ['shape that an operand is read in', { changes: { view: [1, 2] } }],
    ['shape that an operand is read in, of no axes', { changes: { view: [] } }],
  ])('are compiled anew for another %s', (_, variation) => {
    const made = make();
    runOne(made);
    const before = made.interpreter.compiled.length;
    runOne(made, variation);
    expect(made.interpreter.compiled.length).toBeGreaterThan(before);
    // And are both remembered.
    const both = made.interpreter.compiled.length;
    runOne(made);
    runOne(made, variation);
    expect(made.interpreter.compiled).toHaveLength(both);
  });

  it('are told apart by the lane alone, by the view alone and by the wiring alone', () => {
    const { interpreter, graph, known, call, calls, read } = make();
    const a = known(1, [4]);
    const count = (value: Handle) => {
      read(value);
      graph.release(value);
      return interpreter.compiled.length;
    };
    expect(count(call('f', [a]))).toBe(1);
    expect(count(call('f', [a], { lane: 1 }))).toBe(2);
    expect(count(call('f', [a], { view: [2, 2] }))).toBe(3);
    expect(count(call('f', [a], { view: [1, 4] }))).toBe(4);
    expect(count(call('f', [a], { view: [4, 1] }))).toBe(5);
    const one = (choose: number) => {
      const pair = calls('pair', [a], { results: 2 });
      const top = call('top', [pair[choose]]);
      for (const value of pair) graph.release(value);
      return count(top);
    };
    const three = (choose: number) => {
      const [b, c] = [call('b', [a]), call('c', [a])];
      const top = call('top', [[b, c][choose], b, c]);
      for (const value of [b, c]) graph.release(value);
      return count(top);
    };
    expect([three(0), three(1), three(0), three(1)]).toEqual([6, 7, 7, 7]);
    expect([one(0), one(1), one(0), one(1)]).toEqual([8, 9, 9, 9]);
  });

  it('are told apart by numbers that JSON does not know', () => {
    const made = make();
    const numbers = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 0, -0];
    for (const value of numbers) runOne(made, { changes: { attributes: { value } } });
    const attributes = made.interpreter.ran.map(({ nodes }) => nodes[1].attributes);
    expect(attributes).toEqual(numbers.map((value) => ({ value })));
  });

  it('least recently used go first when there are too many', () => {
    const made = make(2);
    const { interpreter } = made;
    const released = () => interpreter.released.map(({ nodes }) => nodes[1].op);
    runOne(made, { op: 'a' });
    runOne(made, { op: 'b' });
    runOne(made, { op: 'a' });
    expect(released()).toEqual([]);
    runOne(made, { op: 'c' });
    expect(released()).toEqual(['b']);
    runOne(made, { op: 'a' });
    expect(interpreter.compiled).toHaveLength(3);
    runOne(made, { op: 'b' });
    expect(released()).toEqual(['b', 'c']);
    expect(interpreter.compiled).toHaveLength(4);
  });

  it('go with the graph', () => {
    const made = make();
    runOne(made, { op: 'a' });
    runOne(made, { op: 'b' });
    made.graph.dispose();
    expect(made.interpreter.released).toHaveLength(2);
  });
});

describe('lanes', () => {
  const lanesOf = ({ interpreter }: ReturnType<typeof make>) =>
    interpreter.ran.map(({ lane, nodes }) => [lane, nodes.map(({ op }) => op).join('')]);

  it('never mix, and alternate as often as the dependencies ask for', () => {
    const made = make();
    const { graph, known, call, read } = made;
    const a = known(1);
    const x = call('x', [a]);
    const s = call('s', [x], { lane: 1 });
    const y = call('y', [s, x]);
    const t = call('t', [y], { lane: 1 });
    const z = call('z', [t, s]);
    for (const value of [x, s, y, t]) graph.release(value);
    const numbers: Record<string, number> = {};
    numbers.x = result('x', [1], 0);
    numbers.s = result('s', [numbers.x], 0);
    numbers.y = result('y', [numbers.s, numbers.x], 0);
    numbers.t = result('t', [numbers.y], 0);
    expect(read(z)).toBe(result('z', [numbers.t, numbers.s], 0));
    expect(lanesOf(made)).toEqual([
      [0, 'x'],
      [1, 's'],
      [0, 'y'],
      [1, 't'],
      [0, 'z'],
    ]);
    expect(made.interpreter.alive.size).toBe(2);
  });

  it('gather what is independent', () => {
    const made = make();
    const { known, call, read } = made;
    const a = known(1);
    // Recorded in turns, but no scatter needs another one's result.
    const scattered = ['p', 'q', 'r'].map((op) => call(op, [call(op.toUpperCase(), [a])], { lane: 1 }));
    read(call('sum', scattered));
    expect(lanesOf(made)).toEqual([
      [0, 'PQR'],
      [1, 'pqr'],
      [0, 'sum'],
    ]);
  });

  it('begin with the one that is there', () => {
    const made = make();
    const { known, call, read } = made;
    read(call('y', [call('s', [known(1)], { lane: 1 })]));
    expect(lanesOf(made)).toEqual([
      [1, 's'],
      [0, 'y'],
    ]);
  });
});

describe('mark', () => {
  it('makes graphs of its own of what follows, equal ones where the parts are equal', () => {
    const { interpreter, graph, known, call, read, ran } = make();
    const w = known(7);
    let value = known(1);
    let expected = 1;
    for (let part = 0; part < 4; part++) {
      graph.mark('block');
      graph.mark('block'); // Nothing between: no graph of its own.
      const inner = call('f', [value, w]);
      const outer = call('g', [inner]);
      graph.release(value);
      graph.release(inner);
      value = outer;
      expected = result('g', [result('f', [expected, 7], 0)], 0);
    }
    graph.mark();
    expect(read(value)).toBe(expected);
    expect(ran()).toEqual(Array(4).fill(['f', 'g']));
    expect(interpreter.compiled).toHaveLength(1);
    // What the parts hand on is freed on the way.
    expect(interpreter.alive.size).toBe(2);
  });

  it('runs an earlier part first, and not where nothing of it is needed', () => {
    const { graph, known, call, read, ran } = make();
    const a = known(1);
    const s = call('s', [a], { lane: 1 });
    const early = call('early', [a]);
    graph.mark();
    const late = call('late', [a, early]);
    const alone = call('alone', [a]);
    read(alone);
    expect(ran()).toEqual([['alone']]);
    read(call('end', [late, s]));
    expect(ran().slice(1)).toEqual([['s'], ['early'], ['late', 'end']]);
  });

  it('names the parts that time is counted for', () => {
    const { graph, known, call, read } = make();
    const a = known(1);
    const before = call('f', [a]);
    graph.mark('backbone');
    const one = call('f', [before]);
    graph.mark();
    const two = call('f', [one]);
    graph.mark('decoder');
    read(call('f', [two]));
    expect(Object.keys(graph.statistics.partSeconds)).toEqual(['', 'backbone', 'decoder']);
    const { partSeconds, runSeconds } = graph.statistics;
    expect(Object.values(partSeconds).reduce((sum, s) => sum + s)).toBeCloseTo(runSeconds, 9);
    expect(graph.statistics.graphs).toBe(4);
  });
});

describe('asynchronous reads', () => {
  it('wait for each other and give the values', async () => {
    const { interpreter, known, call, readAsync } = make();
    const a = known(1);
    const [b, c] = [call('b', [a]), call('c', [a])];
    const open = hold(interpreter);
    const reads = Promise.all([readAsync(b), readAsync(c), readAsync(a)]);
    await setImmediate();
    expect(interpreter.ran).toHaveLength(0);
    open();
    expect(await reads).toEqual([result('b', [1], 0), result('c', [1], 0), 1]);
    expect(interpreter.ran).toHaveLength(2);
  });

  it('let no synchronous read in between, except of what is there', async () => {
    const { interpreter, known, call, read, readAsync } = make();
    const a = known(1);
    const [b, c] = [call('b', [a]), call('c', [a])];
    const open = hold(interpreter);
    const pending = readAsync(b);
    expect(() => read(c)).toThrow(/read synchronously while another read is under way: await/);
    expect(() => read(b)).toThrow(/read synchronously/);
    expect(read(a)).toBe(1);
    open();
    await pending;
    expect(read(c)).toBe(result('c', [1], 0));
    expect(read(b)).toBe(result('b', [1], 0));
    expect(interpreter.ran).toHaveLength(2);
  });

  it('keep their value and its operands when the last handles are given up meanwhile', async () => {
    const { interpreter, graph, known, call, readAsync } = make();
    const a = known(1);
    const inner = call('f', [a]);
    const b = call('g', [inner], { lane: 1 });
    const open = hold(interpreter);
    const pending = readAsync(b);
    for (const value of [a, inner, b]) graph.release(value);
    await setImmediate();
    expect(interpreter.alive.size).toBe(1);
    open();
    expect(await pending).toBe(result('g', [result('f', [1], 0)], 0));
    expect(interpreter.alive.size).toBe(0);
    await graph.finish();
    expect(interpreter.ran).toHaveLength(2);
  });

  it('keep what operations recorded meanwhile will use', async () => {
    const { interpreter, graph, known, call, read, readAsync } = make();
    const a = known(1);
    const b = call('b', [a]);
    const c = call('c', [b]);
    const open = hold(interpreter);
    const pending = readAsync(c);
    const [d, e] = [call('d', [b]), call('e', [a])];
    for (const value of [a, b]) graph.release(value);
    open();
    await pending;
    expect(read(d)).toBe(result('d', [result('b', [1], 0)], 0));
    expect(read(e)).toBe(result('e', [1], 0));
    expect(interpreter.alive.size).toBe(3);
  });

  it('free the value where `use` throws', async () => {
    const { interpreter, graph, known, call } = make();
    const b = call('b', [known(1)]);
    const failing = graph.readAsync(b, () => {
      throw new Error('in use');
    });
    graph.release(b);
    await expect(failing).rejects.toThrow('in use');
    expect(interpreter.alive.size).toBe(1);
  });
});

describe('finish', () => {
  it('runs everything that is held, and nothing twice', async () => {
    const { interpreter, graph, known, call, ran } = make();
    const a = known(1);
    const held = call('held', [a]);
    const inner = call('inner', [a]);
    const outer = call('outer', [inner]);
    const dropped = call('dropped', [a]);
    graph.release(inner);
    graph.release(dropped);
    await graph.finish();
    expect(ran()).toEqual([['held', 'inner', 'outer']]);
    expect(interpreter.ran[0].outputs.map(({ node }) => node)).toEqual([0, 2]);
    expect(held.isPending || outer.isPending).toBe(false);
    await graph.finish();
    expect(interpreter.ran).toHaveLength(1);
    expect(interpreter.alive.size).toBe(3);
  });

  it('waits for reads under way and runs what was recorded meanwhile', async () => {
    const { interpreter, graph, known, call, readAsync, ran } = make();
    const a = known(1);
    const open = hold(interpreter);
    const reading = readAsync(call('b', [a]));
    const finished = graph.finish();
    call('c', [a]);
    open();
    await Promise.all([reading, finished]);
    expect(ran()).toEqual([['b'], ['c']]);
  });

  it('keeps the operands of a running graph whose results are given up meanwhile', async () => {
    const { interpreter, graph, known, call } = make();
    const a = known(1);
    const b = call('b', [a]);
    const open = hold(interpreter);
    const finished = graph.finish();
    graph.release(b);
    graph.release(a);
    expect(interpreter.alive.size).toBe(1);
    open();
    await finished;
    expect(interpreter.alive.size).toBe(0);
  });

  it('counts a graph whose results are given up meanwhile once', async () => {
    const { interpreter, graph, known, call, read } = make();
    const a = known(1);
    const [b, c] = [call('b', [a]), call('c', [a])];
    const open = hold(interpreter);
    const finished = graph.finish();
    // Recorded too late for this run, so `a` has to stay for it.
    const d = call('d', [a]);
    for (const value of [a, b, c]) graph.release(value);
    open();
    await finished;
    expect(read(d)).toBe(result('d', [1], 0));
    expect(interpreter.alive.size).toBe(1);
  });

  it('runs later graphs whose results are given up meanwhile', async () => {
    const { interpreter, graph, known, call } = make();
    const a = known(1);
    const b = call('b', [a]);
    graph.mark();
    const c = call('c', [b]);
    const open = hold(interpreter);
    const finished = graph.finish();
    for (const value of [a, b, c]) graph.release(value);
    open();
    await finished;
    expect(interpreter.alive.size).toBe(0);
  });
});

describe('a run that fails', () => {
  it('can be repeated, and what it needs is there', () => {
    const { interpreter, graph, known, call, read } = make();
    const a = known(1);
    const b = call('b', [call('inner', [a])]);
    graph.release(a);
    interpreter.failure = new Error('out of memory');
    expect(() => read(b)).toThrow('out of memory');
    expect(() => read(b)).toThrow('out of memory');
    interpreter.failure = null;
    expect(read(b)).toBe(result('b', [result('inner', [1], 0)], 0));
    expect(interpreter.compiled).toHaveLength(1);
  });

  it('leaves nothing behind when its value is given up', () => {
    const { interpreter, graph, known, call, read } = make();
    const a = known(1);
    const b = call('b', [a]);
    graph.release(a);
    interpreter.failure = new Error('out of memory');
    expect(() => read(b)).toThrow('out of memory');
    graph.release(b);
    expect(interpreter.alive.size).toBe(0);
  });

  it('does not stop other reads, nor a finish', async () => {
    const { interpreter, graph, known, call, read, readAsync } = make();
    const a = known(1);
    const [b, c] = [call('b', [a]), call('c', [a])];
    const open = hold(interpreter);
    interpreter.failure = new Error('out of memory');
    const failing = readAsync(b);
    const waiting = readAsync(c);
    open();
    await expect(failing).rejects.toThrow('out of memory');
    interpreter.failure = null;
    expect(await waiting).toBe(result('c', [1], 0));
    interpreter.failure = new Error('out of memory');
    await expect(graph.finish()).rejects.toThrow('out of memory');
    interpreter.failure = null;
    expect(read(b)).toBe(result('b', [1], 0));
  });

  it('in a later graph keeps what the earlier ones computed', () => {
    const { interpreter, graph, known, call, read, ran } = make();
    const b = call('b', [known(1)]);
    graph.mark();
    const c = call('c', [b]);
    graph.release(b);
    const compile = interpreter.compile.bind(interpreter);
    interpreter.compile = (what) => {
      if (what.nodes[0].op === 'c') throw new Error('no such operator');
      return compile(what);
    };
    expect(() => read(c)).toThrow('no such operator');
    interpreter.compile = compile;
    expect(read(c)).toBe(result('c', [result('b', [1], 0)], 0));
    expect(ran()).toEqual([['b'], ['c']]);
    expect(interpreter.alive.size).toBe(2);
  });
});

it('counts what it does', () => {
  const { graph, known, call, read } = make();
  const a = known(1);
  for (let n = 0; n < 3; n++) {
    const b = call('b', [a]);
    read(call('c', [b]));
    graph.release(b);
  }
  graph.release(call('dead', [a]));
  expect(graph.statistics).toMatchObject({ recorded: 7, graphs: 3, nodes: 6, compiled: 1 });
  const { compileSeconds, runSeconds } = graph.statistics;
  for (const seconds of [compileSeconds, runSeconds]) {
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(1);
  }
});

/** Anything that can be done to a graph; numbers pick among what there is. */
type Command =
  | { do: 'known'; number: number }
  | { do: 'call'; op: string; operands: number[]; results: number; lane: number }
  | { do: 'hold' | 'release' | 'read' | 'readAsync'; which: number }
  | { do: 'mark' | 'finish' | 'settle' | 'fail' | 'releaseAll' };

const pick = fc.nat({ max: 1000 });
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant('known' as const), number: fc.nat({ max: 99 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      op: fc.constantFrom('f', 'g', 'h'),
      operands: fc.array(pick, { maxLength: 3 }),
      results: fc.integer({ min: 1, max: 3 }),
      lane: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constantFrom('hold' as const, 'release', 'release', 'release', 'read', 'readAsync'),
      which: pick,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('mark' as const, 'finish', 'finish', 'settle', 'settle', 'fail', 'releaseAll'),
    }),
  },
);

it('gives the right values and frees everything once, whatever is done in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60, size: 'max' }), async (commands) => {
      const { interpreter, graph, known, calls, read, readAsync } = make(4);
      const handles: { value: Handle; expected: number }[] = [];
      let underWay: Promise<unknown>[] = [];
      const settle = async () => {
        await Promise.all(underWay);
        underWay = [];
      };
      const keep = (value: Handle, expected: number) => handles.push({ value, expected });
      keep(known(1), 1);
      for (const step of commands) {
        if (step.do === 'known') keep(known(step.number), step.number);
        else if (step.do === 'call') {
          const operands = step.operands.flatMap((n) => handles[n % Math.max(1, handles.length)] ?? []);
          const values = operands.map(({ value }) => value);
          const numbers = operands.map(({ expected }) => expected);
          const results = calls(step.op, values, { results: step.results, lane: step.lane });
          for (const [o, value] of results.entries()) keep(value, result(step.op, numbers, o));
        } else if (step.do === 'mark') graph.mark();
        else if (step.do === 'finish') underWay.push(graph.finish());
        else if (step.do === 'settle') await settle();
        else if (step.do === 'fail') {
          await settle();
          const pending = handles.find(({ value }) => value.isPending);
          if (!pending) continue;
          interpreter.failure = new Error('on purpose');
          expect(() => read(pending.value)).toThrow('on purpose');
          interpreter.failure = null;
        } else if (step.do === 'releaseAll') {
          for (const { value } of handles.splice(0)) graph.release(value);
        } else if ('which' in step && handles.length > 0) {
          const index = step.which % handles.length;
          const { value, expected } = handles[index];
          if (step.do === 'hold') {
            value.handles++;
            keep(value, expected);
          } else if (step.do === 'release') {
            handles.splice(index, 1);
            expect(graph.release(value)).toBe(!handles.some((handle) => handle.value === value));
          } else if (step.do === 'readAsync') {
            underWay.push(readAsync(value).then((number) => expect(number).toBe(expected)));
          } else if (underWay.length === 0 || !value.isPending) expect(read(value)).toBe(expected);
          else expect(() => read(value)).toThrow('read synchronously');
        }
      }
      await settle();
      for (const { value, expected } of handles) expect(read(value)).toBe(expected);
      for (const { value } of handles) graph.release(value);
      expect(interpreter.alive.size).toBe(0);
      const { graphs } = graph.statistics;
      await graph.finish();
      expect(graph.statistics.graphs).toBe(graphs);
      for (const { lane, nodes } of interpreter.compiled) {
        expect(nodes.length).toBeGreaterThan(0);
        expect([0, 1]).toContain(lane);
        expect(nodes.every((node) => isOrdered(node, nodes))).toBe(true);
      }
      expect(interpreter.compiled.length - interpreter.released.length).toBeLessThanOrEqual(4);
    }),
    { numRuns: 300, seed: 1 },
  );
});

/** Whether a node's operands are computed before it. */
function isOrdered(node: GraphNode, nodes: readonly GraphNode[]): boolean {
  return node.inputs.every(({ source }) => 'input' in source || source.node < nodes.indexOf(node));
}
