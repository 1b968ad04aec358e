/** @file The lazy graph runs, keeps, compiles and frees the right values at the right time. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  type CallOptions,
  collectGarbage,
  type Handle,
  makeGraph,
  result,
} from '../../../test/support/number_graph.js';
import type { LazyDtype } from './value.js';

describe('the memory of the lazy graph', () => {
  it('frees a known value with its last handle', () => {
    const { interpreter, graph, known } = makeGraph();
    const a = known(1);
    a.handles++;
    expect(graph.release(a)).toBe(false);
    expect(interpreter.alive.size).toBe(1);
    expect(graph.release(a)).toBe(true);
    expect(interpreter.alive.size).toBe(0);
    expect(() => graph.read(a)).toThrow('used after its disposal');
  });

  it('keeps a released operand until the last operation on it has run', () => {
    const { interpreter, graph, known, call, read } = makeGraph();
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
    const { interpreter, graph, known, call, read } = makeGraph();
    const a = known(5);
    const b = call('f', [a]);
    read(b);
    graph.release(b);
    expect(read(a)).toBe(5);
    expect(interpreter.alive.size).toBe(1);
  });

  it('never runs an operation without references to its results, and frees the operands that only it would have used', () => {
    const { interpreter, graph, known, call, calls, read, ran } = makeGraph();
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

  it('keeps only the referenced results of an operation with several results', () => {
    const { interpreter, graph, known, calls, read } = makeGraph();
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

  it('holds no reference to operations that have run or were dropped', async () => {
    const { graph, known, call, read } = makeGraph();
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
    const { interpreter, graph, known, call, read } = makeGraph();
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

describe('a read of a value', () => {
  it('runs the operations that the value depends on, in their order and in one graph', () => {
    const { interpreter, known, call, read, ran } = makeGraph();
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

  it('keeps only results with a handle or a use outside of the graph', () => {
    const { interpreter, graph, known, call, read } = makeGraph();
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

  it('passes the shape in which an operand is read to the compiler', () => {
    const { interpreter, known, call, read } = makeGraph();
    read(call('f', [known(1, [2, 3])], { view: [6], shape: [1] }));
    expect(interpreter.compiled[0].inputs).toEqual([{ shape: [2, 3], dtype: 'float32' }]);
    expect(interpreter.compiled[0].nodes[0].inputs).toEqual([{ source: { input: 0 }, shape: [6] }]);
  });

  it('passes the layouts of the inputs to the compiler, also of those that earlier graphs of the same read compute', () => {
    const { interpreter, graph, known, call, read } = makeGraph();
    const a = known(1);
    interpreter.layout = 'narrow';
    const b = known(2);
    const inner = call('f', [a, b]);
    graph.graphBreak();
    read(call('g', [inner, a], { stream: 1 }));
    const layouts = interpreter.compiled.map(({ inputs }) => inputs.map(({ layout }) => layout));
    expect(layouts).toEqual([
      [undefined, 'narrow'],
      ['narrow', undefined],
    ]);
  });
});

describe('executables', () => {
  /** A small graph with everything that could differ; `changes` to its second operation, the rest by name. */
  interface Variation {
    changes?: CallOptions;
    op?: string;
    shape?: readonly number[];
    dtype?: LazyDtype;
    /** The same value on both sides, or the sides exchanged. */
    wiring?: 'twice' | 'swapped';
    keepsInner?: boolean;
    /** How the second operand is stored. */
    layout?: string;
    number?: number;
  }
  const runOne = (made: ReturnType<typeof makeGraph>, variation: Variation = {}) => {
    const { interpreter, graph, known, call, read } = made;
    const { changes, op = 'g', shape = [2, 3], dtype = 'float32', wiring, number = 1 } = variation;
    const a = known(number, shape, dtype);
    interpreter.layout = variation.layout;
    const b = known(number + 1, shape, dtype);
    interpreter.layout = undefined;
    const inner = call('f', [a], { attributes: { k: [1, 2] } });
    const other = wiring === 'twice' ? inner : b;
    const target = call(op, wiring === 'swapped' ? [other, inner] : [inner, other], {
      attributes: { eps: 1e-6 },
      ...changes,
    });
    if (!variation.keepsInner) graph.release(inner);
    read(target);
  };

  it('are compiled once for a structure, with any values', () => {
    const made = makeGraph();
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
    ['layout of an input', { layout: 'narrow' }],
    ['shape of a result', { changes: { shape: [1, 2] } }],
    ['type of a result', { changes: { dtype: 'bool' } }],
    ['number of results', { changes: { results: 2 } }],
    ['order of operands', { wiring: 'swapped' }],
    ['source of an operand', { wiring: 'twice' }],
    ['choice of what is kept', { keepsInner: true }],
    ['stream', { changes: { stream: 1 } }],
    ['shape that an operand is read in', { changes: { view: [1, 2] } }],
    ['shape that an operand is read in, of no axes', { changes: { view: [] } }],
  ])('are compiled again for another %s', (_, variation) => {
    const made = makeGraph();
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

  it('differ if only the stream, only a view or only the wiring differs', () => {
    const { interpreter, graph, known, call, calls, read } = makeGraph();
    const a = known(1, [4]);
    const count = (value: Handle) => {
      read(value);
      graph.release(value);
      return interpreter.compiled.length;
    };
    expect(count(call('f', [a]))).toBe(1);
    expect(count(call('f', [a], { stream: 1 }))).toBe(2);
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

  it('differ if only attributes differ that JSON cannot represent', () => {
    const made = makeGraph();
    const numbers = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 0, -0];
    for (const value of numbers) runOne(made, { changes: { attributes: { value } } });
    const attributes = made.interpreter.ran.map(({ nodes }) => nodes[1].attributes);
    expect(attributes).toEqual(numbers.map((value) => ({ value })));
  });

  it('are released when there are too many, the least recently used first', () => {
    const made = makeGraph(2);
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

  it('are released with the graph', () => {
    const made = makeGraph();
    runOne(made, { op: 'a' });
    runOne(made, { op: 'b' });
    made.graph.dispose();
    expect(made.interpreter.released).toHaveLength(2);
  });
});

describe('streams', () => {
  const lanesOf = ({ interpreter }: ReturnType<typeof makeGraph>) =>
    interpreter.ran.map(({ stream, nodes }) => [stream, nodes.map(({ op }) => op).join('')]);

  it('never mix, and alternate as often as the dependencies require', () => {
    const made = makeGraph();
    const { graph, known, call, read } = made;
    const a = known(1);
    const x = call('x', [a]);
    const s = call('s', [x], { stream: 1 });
    const y = call('y', [s, x]);
    const t = call('t', [y], { stream: 1 });
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

  it('put independent operations into one graph', () => {
    const made = makeGraph();
    const { known, call, read } = made;
    const a = known(1);
    // Recorded in turns, but no scatter needs another one's result.
    const scattered = ['p', 'q', 'r'].map((op) => call(op, [call(op.toUpperCase(), [a])], { stream: 1 }));
    read(call('sum', scattered));
    expect(lanesOf(made)).toEqual([
      [0, 'PQR'],
      [1, 'pqr'],
      [0, 'sum'],
    ]);
  });

  it('begin with the stream of the first operation', () => {
    const made = makeGraph();
    const { known, call, read } = made;
    read(call('y', [call('s', [known(1)], { stream: 1 })]));
    expect(lanesOf(made)).toEqual([
      [1, 's'],
      [0, 'y'],
    ]);
  });
});

describe('a graph break', () => {
  it('puts the operations that follow into graphs of their own, and compiles equal regions once', () => {
    const { interpreter, graph, known, call, read, ran } = makeGraph();
    const w = known(7);
    let value = known(1);
    let expected = 1;
    for (let part = 0; part < 4; part++) {
      graph.graphBreak('block');
      graph.graphBreak('block'); // Nothing between: no graph of its own.
      const inner = call('f', [value, w]);
      const outer = call('g', [inner]);
      graph.release(value);
      graph.release(inner);
      value = outer;
      expected = result('g', [result('f', [expected, 7], 0)], 0);
    }
    graph.graphBreak();
    expect(read(value)).toBe(expected);
    expect(ran()).toEqual(Array(4).fill(['f', 'g']));
    expect(interpreter.compiled).toHaveLength(1);
    // What the parts hand on is freed on the way.
    expect(interpreter.alive.size).toBe(2);
  });

  it('runs an earlier region first, and skips it if nothing needs it', () => {
    const { graph, known, call, read, ran } = makeGraph();
    const a = known(1);
    const s = call('s', [a], { stream: 1 });
    const early = call('early', [a]);
    graph.graphBreak();
    const late = call('late', [a, early]);
    const alone = call('alone', [a]);
    read(alone);
    expect(ran()).toEqual([['alone']]);
    read(call('end', [late, s]));
    expect(ran().slice(1)).toEqual([['s'], ['early'], ['late', 'end']]);
  });

  it('names the regions in the statistics', () => {
    const { graph, known, call, read } = makeGraph();
    const a = known(1);
    const before = call('f', [a]);
    graph.graphBreak('backbone');
    const one = call('f', [before]);
    graph.graphBreak();
    const two = call('f', [one]);
    graph.graphBreak('decoder');
    read(call('f', [two]));
    expect(Object.keys(graph.statistics.regionSeconds)).toEqual(['', 'backbone', 'decoder']);
    const { regionSeconds, runSeconds } = graph.statistics;
    expect(Object.values(regionSeconds).reduce((sum, s) => sum + s)).toBeCloseTo(runSeconds, 9);
    expect(graph.statistics.graphs).toBe(4);
  });
});

it('counts operations, graphs and compilations', () => {
  const { graph, known, call, read } = makeGraph();
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
