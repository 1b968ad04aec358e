/** @file The cuda engine of a dry run: it compiles programs, but needs no GPU and runs nothing. */
import { CountingCompiler, type DryEngine } from '../dry_run/dry_engine.js';
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
      const compiler = new CountingCompiler(counter, (graph) => {
        const program = compileProgram(graph, LOWERINGS, policy);
        return { ...memoryOf(program), onRun: () => onRun(program) };
      });
      const parts = { engine: 'cuda', tensors: counter, compiler, fusedKernels: FUSED_NAMES, lanes: 1 };
      return new RecordingBackend({ ...parts, graph: GRAPH_OPTIONS });
    },
  };
}

function memoryOf({ outputs, workspaceBytes }: Program) {
  return {
    working: outputs.reduce((sum, { bytes }) => sum + bytes, workspaceBytes),
    outputs: outputs.map(({ bytes, storage }) => ({
      bytes,
      ...(storage === 'bfloat16' ? { layout: storage } : {}),
    })),
  };
}
