/** @file The lazy graph: random actions in random order. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Handle, makeGraph, result } from '../../../test/support/number_graph.js';
import type { GraphNode } from './compiler.js';

/** Anything that can be done to a graph; numbers pick among what there is. */
type Command =
  | { do: 'known'; number: number }
  | { do: 'call'; op: string; operands: number[]; results: number; stream: number }
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
      stream: fc.nat({ max: 2 }),
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

it('gives the right values and frees everything once after any actions in any order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60, size: 'max' }), async (commands) => {
      const { interpreter, graph, known, calls, read, readAsync } = makeGraph(4);
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
          const results = calls(step.op, values, { results: step.results, stream: step.stream });
          for (const [o, value] of results.entries()) keep(value, result(step.op, numbers, o));
        } else if (step.do === 'mark') graph.graphBreak();
        else if (step.do === 'finish') underWay.push(graph.sync());
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
      await graph.sync();
      expect(graph.statistics.graphs).toBe(graphs);
      for (const { stream, nodes } of interpreter.compiled) {
        expect(nodes.length).toBeGreaterThan(0);
        expect([0, 1]).toContain(stream);
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
