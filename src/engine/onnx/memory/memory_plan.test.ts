/** @file Tests of the places of a graph's temporaries. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../graph_builder.js';
import type { OnnxGraph, OnnxNode } from '../model_format.js';
import { planMemory } from './memory_plan.js';

const ROWS = 8;
const value = (name: string, shape: readonly number[] = [ROWS, ROWS]) => ({
  name,
  type: 'float32' as const,
  shape,
});

/** Builds a graph with inputs i0 and i1; the returned values become its outputs o0, o1, …. */
function graphOf(build: (g: GraphBuilder) => readonly [name: string, shape: readonly number[]][]): OnnxGraph {
  const g = new GraphBuilder();
  const results = build(g);
  const renamed = (names: readonly string[]) =>
    names.map((name) => {
      const o = results.findIndex(([result]) => result === name);
      return o < 0 ? name : `o${o}`;
    });
  return {
    nodes: g.nodes.map((node) => ({ ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) })),
    constants: g.constants,
    inputs: [value('i0'), value('i1')],
    outputs: results.map(([, shape], o) => value(`o${o}`, shape)),
  };
}

const FULL = ROWS * ROWS * 4;

describe('a planned graph', () => {
  it('uses two buffers in turn for a chain of operations', () => {
    const chain = graphOf((g) => {
      let x = 'i0';
      for (let i = 0; i < 6; i++) x = g.op('Exp', [x]);
      return [[x, [ROWS, ROWS]]];
    });
    expect(planMemory(chain).plan.buffers.map(({ bytes }) => bytes)).toEqual([FULL, FULL]);
  });

  it('enlarges a free buffer instead of adding one', () => {
    const growing = graphOf((g) => {
      const sum = g.op('ReduceSum', ['i0', g.ints([0])], { keepdims: 0 });
      const small = g.op('Exp', [sum]);
      const row = g.op('Neg', [small]);
      return [[g.op('Exp', [g.op('Add', [row, 'i1'])]), [ROWS, ROWS]]];
    });
    expect(planMemory(growing).plan.buffers.map(({ bytes }) => bytes)).toEqual([ROWS * 4, FULL]);
  });

  it('reads temporaries in other shapes without a node, and keeps views of operands', () => {
    const views = graphOf((g) => {
      const flat = g.reshape(g.op('Exp', [g.reshape('i0', [ROWS * ROWS])]), [ROWS, ROWS]);
      return [[g.op('Add', [flat, 'i1']), [ROWS, ROWS]]];
    });
    const { graph } = planMemory(views);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Add', 'Exp', 'Reshape']);
    expect(graph.inputs.at(-1)?.shape).toEqual([ROWS, ROWS]);
  });

  it('copies to a result that is a view', () => {
    const copied = graphOf((g) => [[g.reshape(g.op('Exp', ['i0']), [ROWS * ROWS]), [ROWS * ROWS]]]);
    expect(planMemory(copied).graph.nodes.map(({ op }) => op)).toEqual(['Reshape', 'Exp']);
  });

  it('holds each value until its last reader has run', () => {
    fc.assert(
      fc.property(randomGraph, (graph) => {
        expect(runPlanned(graph)).toEqual(run(graph));
      }),
    );
  });
});

/** Graphs of sums, reductions and views of values that are picked at random; some values are results. */
const randomGraph = fc
  .array(fc.record({ op: fc.nat(3), a: fc.nat(), b: fc.nat(), isResult: fc.boolean() }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((steps) =>
    graphOf((g) => {
      const values: [name: string, shape: readonly number[]][] = [
        ['i0', [ROWS, ROWS]],
        ['i1', [ROWS, ROWS]],
      ];
      const results: typeof values = [];
      for (const { op, a, b, isResult } of steps) {
        const [x, shape] = values[a % values.length];
        const alike = values.filter(([, other]) => `${other}` === `${shape}`);
        const [y] = alike[b % alike.length];
        const isSquare = `${shape}` === `${[ROWS, ROWS]}`;
        if (op === 0 && isSquare) values.push([g.op('ReduceSum', [x, g.ints([0])], { keepdims: 0 }), [ROWS]]);
        else if (op === 1 && isSquare) values.push([g.reshape(x, [ROWS * ROWS]), [ROWS * ROWS]]);
        else values.push([g.op('Add', [x, y]), shape]);
        if (isResult) results.push(values.at(-1)!);
      }
      return results.length > 0 ? results : [values.at(-1)!];
    }),
  );

/** Stands for the result of a node: a number that depends on its operands. */
function result({ op }: OnnxNode, operands: readonly number[]): number {
  if (op === 'Reshape') return operands[0];
  return operands.reduce((sum, operand, i) => (sum + (i + 2) * operand) % 1_000_003, op.length);
}

const operandOf = (name: string) => Number(name.slice(1)) + 1;

/** The results of a graph, computed node by node. */
function run({ nodes, outputs }: OnnxGraph): number[] {
  const values = new Map<string, number>();
  for (const node of nodes)
    values.set(
      node.outputs[0],
      result(
        node,
        node.inputs.map((name) => values.get(name) ?? operandOf(name)),
      ),
    );
  return outputs.map(({ name }) => values.get(name)!);
}

/** The results of the planned graph, computed in buffers that hold one value at a time. */
function runPlanned(graph: OnnxGraph): number[] {
  const planned = planMemory(graph);
  const places = [...planned.plan.results, ...planned.plan.buffers].map((buffer) => ({
    ...buffer,
    content: Number.NaN,
  }));
  const placeOf = (name: string, list: 'inputs' | 'outputs') =>
    places.find((place) => place[list].some(({ position }) => position === Number(name.slice(1))));
  const views = new Map<string, number>();
  const read = (name: string) =>
    views.get(name) ??
    (name.startsWith('i') ? placeOf(name, 'inputs') : undefined)?.content ??
    operandOf(name);
  for (const node of planned.graph.nodes.toReversed()) {
    const [name] = node.outputs;
    const made = result(node, node.inputs.map(read));
    const index = graph.outputs.findIndex((output) => output.name === name);
    const place = index < 0 ? placeOf(name, 'outputs') : places[index];
    if (place) place.content = made;
    else views.set(name, made);
  }
  return graph.outputs.map((_, o) => places[o].content);
}
