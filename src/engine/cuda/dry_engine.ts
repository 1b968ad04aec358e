/** @file The cuda engine of a dry run: it compiles programs, but needs no GPU and runs nothing. */
import { CountingCompiler, type DryEngine, type PlannedGraph } from '../dry_run/dry_engine.js';
import { RecordingBackend } from '../record/backend.js';
import { compileProgram } from './compile/compile.js';
import type { Program } from './compile/program.js';
import { FUSED_NAMES, KERNELS, LOWERINGS } from './kernels/kernel_set.js';
import type { Policy } from './kernels/lowering.js';
import { GRAPH_OPTIONS } from './start.js';

/** `onRun` gets each program that would run. */
export function cudaDryEngine(policy: Policy, onRun: (program: Program) => void = () => {}): DryEngine {
  return {
    name: 'dry-run-cuda',
    kernels: KERNELS,
    backend: (counter) => {
      const programs = new Map<PlannedGraph, Program>();
      const compiler = new CountingCompiler(
        counter,
        (graph) => {
          const program = compileProgram(graph, LOWERINGS, policy);
          const planned = plannedOf(program);
          programs.set(planned, program);
          return planned;
        },
        (planned) => onRun(programs.get(planned) as Program),
      );
      const parts = { engine: 'cuda', tensors: counter, compiler, fusedKernels: FUSED_NAMES, lanes: 1 };
      return new RecordingBackend({ ...parts, graph: GRAPH_OPTIONS });
    },
  };
}

function plannedOf({ outputs, workspaceBytes }: Program): PlannedGraph {
  return {
    working: outputs.reduce((sum, { bytes }) => sum + bytes, workspaceBytes),
    outputs: outputs.map(({ bytes, storage }) => ({
      bytes,
      ...(storage === 'bfloat16' ? { layout: storage } : {}),
    })),
  };
}
