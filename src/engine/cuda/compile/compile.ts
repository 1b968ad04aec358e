/** @file Compiles a recorded graph to a program. */
import type { Graph } from '../../lazy/compiler.js';
import type { Lowering, Policy } from '../kernels/lowering.js';
import { assemble } from './assemble.js';
import { lowerGraph } from './lower.js';
import type { Program } from './program.js';

export function compileProgram(
  graph: Graph,
  lowerings: ReadonlyMap<string, Lowering>,
  policy: Policy,
): Program {
  return assemble(lowerGraph(graph, lowerings, policy));
}
