/** @file The lazy graph: asynchronous reads, sync, and runs that fail. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { hold, makeGraph, result } from '../../../test/support/number_graph.js';

describe('asynchronous reads', () => {
  it('wait for each other and return the values', async () => {
    const { interpreter, known, call, readAsync } = makeGraph();
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

  it('allow a synchronous read only of values that are already computed', async () => {
    const { interpreter, known, call, read, readAsync } = makeGraph();
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

  it('keep their value and its operands if the last handles are released meanwhile', async () => {
    const { interpreter, graph, known, call, readAsync } = makeGraph();
    const a = known(1);
    const inner = call('f', [a]);
    const b = call('g', [inner], { stream: 1 });
    const open = hold(interpreter);
    const pending = readAsync(b);
    for (const value of [a, inner, b]) graph.release(value);
    await setImmediate();
    expect(interpreter.alive.size).toBe(1);
    open();
    expect(await pending).toBe(result('g', [result('f', [1], 0)], 0));
    expect(interpreter.alive.size).toBe(0);
    await graph.sync();
    expect(interpreter.ran).toHaveLength(2);
  });

  it('keep the operands of operations that are recorded meanwhile', async () => {
    const { interpreter, graph, known, call, read, readAsync } = makeGraph();
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

  it('free the value if `use` throws', async () => {
    const { interpreter, graph, known, call } = makeGraph();
    const b = call('b', [known(1)]);
    const failing = graph.readAsync(b, () => {
      throw new Error('in use');
    });
    graph.release(b);
    await expect(failing).rejects.toThrow('in use');
    expect(interpreter.alive.size).toBe(1);
  });
});

describe('sync', () => {
  it('runs everything that is referenced, once', async () => {
    const { interpreter, graph, known, call, ran } = makeGraph();
    const a = known(1);
    const held = call('held', [a]);
    const inner = call('inner', [a]);
    const outer = call('outer', [inner]);
    const dropped = call('dropped', [a]);
    graph.release(inner);
    graph.release(dropped);
    await graph.sync();
    expect(ran()).toEqual([['held', 'inner', 'outer']]);
    expect(interpreter.ran[0].outputs.map(({ node }) => node)).toEqual([0, 2]);
    expect(held.isPending || outer.isPending).toBe(false);
    await graph.sync();
    expect(interpreter.ran).toHaveLength(1);
    expect(interpreter.alive.size).toBe(3);
  });

  it('waits for reads under way and runs the operations recorded meanwhile', async () => {
    const { interpreter, graph, known, call, readAsync, ran } = makeGraph();
    const a = known(1);
    const open = hold(interpreter);
    const reading = readAsync(call('b', [a]));
    const finished = graph.sync();
    call('c', [a]);
    open();
    await Promise.all([reading, finished]);
    expect(ran()).toEqual([['b'], ['c']]);
  });

  it('keeps the operands of a running graph if its results are released meanwhile', async () => {
    const { interpreter, graph, known, call } = makeGraph();
    const a = known(1);
    const b = call('b', [a]);
    const open = hold(interpreter);
    const finished = graph.sync();
    graph.release(b);
    graph.release(a);
    expect(interpreter.alive.size).toBe(1);
    open();
    await finished;
    expect(interpreter.alive.size).toBe(0);
  });

  it('counts a graph once if its results are released meanwhile', async () => {
    const { interpreter, graph, known, call, read } = makeGraph();
    const a = known(1);
    const [b, c] = [call('b', [a]), call('c', [a])];
    const open = hold(interpreter);
    const finished = graph.sync();
    // Recorded too late for this run, so `a` has to stay for it.
    const d = call('d', [a]);
    for (const value of [a, b, c]) graph.release(value);
    open();
    await finished;
    expect(read(d)).toBe(result('d', [1], 0));
    expect(interpreter.alive.size).toBe(1);
  });

  it('runs later graphs if their results are released meanwhile', async () => {
    const { interpreter, graph, known, call } = makeGraph();
    const a = known(1);
    const b = call('b', [a]);
    graph.graphBreak();
    const c = call('c', [b]);
    const open = hold(interpreter);
    const finished = graph.sync();
    for (const value of [a, b, c]) graph.release(value);
    open();
    await finished;
    expect(interpreter.alive.size).toBe(0);
  });
});

describe('a run that fails', () => {
  it('can be repeated, because its operands are kept', () => {
    const { interpreter, graph, known, call, read } = makeGraph();
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

  it('leaves nothing behind when its value is released', () => {
    const { interpreter, graph, known, call, read } = makeGraph();
    const a = known(1);
    const b = call('b', [a]);
    graph.release(a);
    interpreter.failure = new Error('out of memory');
    expect(() => read(b)).toThrow('out of memory');
    graph.release(b);
    expect(interpreter.alive.size).toBe(0);
  });

  it('stops neither other reads nor a sync', async () => {
    const { interpreter, graph, known, call, read, readAsync } = makeGraph();
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
    await expect(graph.sync()).rejects.toThrow('out of memory');
    interpreter.failure = null;
    expect(read(b)).toBe(result('b', [1], 0));
  });

  it('keeps the results of the earlier graphs', () => {
    const { interpreter, graph, known, call, read, ran } = makeGraph();
    const b = call('b', [known(1)]);
    graph.graphBreak();
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
