/** @file Graphs of the streams beside the main one run at the same time if none needs another's result. */
import { describe, expect, it } from 'vitest';
import { begin, makeGraph, result } from '../../../test/support/number_graph.js';

/** A graph of numbers that counts the asynchronous runs under way. */
function makeWatchedGraph(maxExecutables?: number) {
  const made = makeGraph(maxExecutables);
  const { interpreter } = made;
  const counts = { now: 0, max: 0 };
  /** The operation whose runs fail. */
  const failing: { op?: string } = {};
  const compile = interpreter.compile.bind(interpreter);
  interpreter.compile = (graph) => {
    const executable = compile(graph);
    return {
      ...executable,
      runAsync: async (inputs) => {
        counts.max = Math.max(counts.max, ++counts.now);
        try {
          const results = await executable.runAsync(inputs);
          if (graph.nodes[0].op !== failing.op) return results;
          for (const cell of results) cell.release();
          throw new Error('on purpose');
        } finally {
          counts.now--;
        }
      },
    };
  };
  return { ...made, counts, failing };
}

const [P, Q] = ['p', 'q'].map((op) => result(op, [1], 0));

describe('independent graphs', () => {
  it('run at the same time, but not beside the main stream', async () => {
    const { known, call, readAsync, ran, counts } = makeWatchedGraph();
    const a = known(1);
    const parts = [call('p', [a], { stream: 1 }), call('q', [a], { stream: 2 })];
    expect(await readAsync(call('sum', [...parts, call('m', [a])]))).toBe(
      result('sum', [P, Q, result('m', [1], 0)], 0),
    );
    expect(counts.max).toBe(2);
    expect(ran().slice(0, 2)).toEqual([['p'], ['q']]);
  });

  it('run one after the other if the second needs the first', async () => {
    const { known, call, readAsync, counts } = makeWatchedGraph();
    const p = call('p', [known(1)], { stream: 1 });
    expect(await readAsync(call('q', [p], { stream: 2 }))).toBe(result('q', [P], 0));
    expect(counts.max).toBe(1);
  });

  it('are compiled once if only their streams differ', async () => {
    const { interpreter, known, call, readAsync } = makeWatchedGraph();
    const [a, b] = [known(1), known(2)];
    await readAsync(call('sum', [call('p', [a], { stream: 1 }), call('p', [b], { stream: 2 })]));
    expect(interpreter.compiled.map(({ nodes }) => nodes[0].op)).toEqual(['p', 'sum']);
  });

  it('keep their executables in a cache that holds only one', async () => {
    const { interpreter, known, call, readAsync } = makeWatchedGraph(1);
    const a = known(1);
    const sum = call('sum', [call('p', [a], { stream: 1 }), call('q', [a], { stream: 2 })]);
    expect(await readAsync(sum)).toBe(result('sum', [P, Q], 0));
    expect(interpreter.released).toHaveLength(2);
  });

  it('keep the result of one if the other fails, and run again only the failed one', async () => {
    const { interpreter, graph, known, call, readAsync, ran, failing } = makeWatchedGraph();
    const a = known(1);
    const parts = [call('p', [a], { stream: 1 }), call('q', [a], { stream: 2 })];
    const sum = call('sum', parts);
    failing.op = 'p';
    await expect(readAsync(sum)).rejects.toThrow('on purpose');
    expect(await readAsync(parts[1])).toBe(Q);
    failing.op = undefined;
    expect(await readAsync(sum)).toBe(result('sum', [P, Q], 0));
    expect(ran()).toEqual([['p'], ['q'], ['p'], ['sum']]);
    for (const value of [a, ...parts, sum]) graph.release(value);
    expect(interpreter.alive.size).toBe(0);
  });
});

describe('a script', () => {
  it('runs the graphs together that ran together in its capture', async () => {
    const { interpreter, scripts, graph, known, feed, call, readAsync, counts } = makeWatchedGraph();
    const a = known(1);
    for (let i = 0; i < 2; i++) {
      const { recording } = begin(scripts, { borrowed: [a] });
      const x = feed(5);
      const parts = [call('p', [x, a], { stream: 1 }), call('q', [x, a], { stream: 2 })];
      const sum = call('sum', parts);
      for (const value of [x, ...parts]) graph.release(value);
      await readAsync(sum);
      graph.release(sum);
      recording!.finish({ replaced: [], made: [], notes: '', feeds: 1, reads: 1 });
    }
    counts.max = 0;
    const { run } = begin(scripts, { borrowed: [a] });
    run!.feed(Float32Array.of(6));
    const parts = ['p', 'q'].map((op) => result(op, [6, 1], 0));
    expect((await run!.read())[0]).toBe(result('sum', parts, 0));
    await run!.finish();
    expect(counts.max).toBe(2);
    expect(interpreter.alive.size).toBe(1);
  });
});
