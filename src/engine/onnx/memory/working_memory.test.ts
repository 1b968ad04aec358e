/** @file Tests of the memory that a graph needs while it runs. */
import { describe, expect, it } from 'vitest';
import type { OnnxGraph } from '../model_format.js';
import { workingMemory } from './working_memory.js';

/** A graph of operators `result = op(operands)` on float32 [256], i.e. 1 KiB each; the last result is the output. */
function graph(...lines: [result: string, op: string, ...operands: string[]][]): OnnxGraph {
  const value = (name: string) => ({ name, type: 'float32' as const, shape: [256] });
  return {
    inputs: [value('x'), value('y')],
    constants: [],
    nodes: lines.map(([result, op, ...inputs]) => ({
      name: result,
      op,
      domain: '',
      inputs,
      outputs: [result],
      attributes: {},
    })),
    outputs: [value(lines.at(-1)![0])],
  };
}

const KIB = 1024;

describe('workingMemory', () => {
  it('counts results, but no operands', () => {
    expect(workingMemory(graph(['z', 'Add', 'x', 'y']))).toBe(KIB);
  });

  it('lets an operator write over an operand that nothing else reads', () => {
    // a, b and c share a block; z is a result, which has a block of its own.
    const chain = graph(['a', 'Exp', 'x'], ['b', 'Neg', 'a'], ['c', 'Mul', 'b', 'y'], ['z', 'Abs', 'c']);
    expect(workingMemory(chain)).toBe(2 * KIB);
  });

  it('keeps an operand that is read later', () => {
    const shared = graph(['a', 'Exp', 'x'], ['b', 'Neg', 'a'], ['z', 'Mul', 'a', 'b']);
    expect(workingMemory(shared)).toBe(3 * KIB);
  });

  it('uses a free block again for a result that cannot be written in place', () => {
    const lines = graph(['a', 'Gelu', 'x'], ['b', 'Gelu', 'a'], ['c', 'Gelu', 'b'], ['z', 'Gelu', 'c']);
    expect(workingMemory(lines)).toBe(2 * KIB);
  });

  it('refuses an operator whose shape it cannot infer', () => {
    expect(() => workingMemory(graph(['z', 'Einsum', 'x']))).toThrow(
      /no shape inference for the ONNX operator Einsum/,
    );
  });
});
