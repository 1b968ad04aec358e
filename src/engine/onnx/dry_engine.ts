/** @file The onnx engine of a dry run: it plans graphs as ONNX Runtime does. */
import { CountingCompiler, type DryEngine } from '../dry_run/dry_engine.js';
import { OnnxBackend } from './backend.js';
import { lowerGraph } from './compiler.js';
import type { KernelSet } from './kernel_set.js';
import { workingMemory, workingMemoryOnGpu } from './memory/working_memory.js';

export function onnxDryEngine(kernels: KernelSet, lanes: number): DryEngine {
  const workingOf = kernels.name === 'gpu' ? workingMemoryOnGpu : workingMemory;
  return {
    name: `dry-run-${kernels.name}`,
    kernels,
    backend: (counter) => {
      const compiler = new CountingCompiler(counter, (graph) => ({
        working: workingOf(lowerGraph(graph, kernels)),
        outputs: null,
      }));
      return new OnnxBackend(counter, compiler, kernels, lanes);
    },
  };
}
