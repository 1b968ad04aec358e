/** @file The tfjs backend `onnx`. */
import type { Compiler } from '../lazy/compiler.js';
import { machineMemory } from '../memory.js';
import { RecordingBackend } from '../record/backend.js';
import type { EngineTensor, TensorMemory } from '../record/tensor.js';
import type { KernelSet } from './kernel_set.js';

export const BACKEND_NAME = 'onnx';

/** Measured memory of a compiled graph, and the fraction of the machine's memory that all of them may take. */
const EXECUTABLE_BYTES = 0.65e6;
const EXECUTABLES_FRACTION = 0.05;
/** A step of the full model needs 60 executables for each size of clips. */
const MIN_EXECUTABLES = 500;

/**
 * Operations that a graph on a GPU has at least, unless it must end before. To start a graph takes as long as dozens of
 * operations there, and memory that is freed later hardly raises the peak.
 */
const MIN_LAYER_NODES_ON_GPU = 100;

function maxExecutables(): number {
  const { totalBytes } = machineMemory();
  return Math.max(MIN_EXECUTABLES, Math.floor((EXECUTABLES_FRACTION * totalBytes) / EXECUTABLE_BYTES));
}

/** Records for ONNX Runtime. */
export class OnnxBackend extends RecordingBackend<EngineTensor> {
  constructor(
    tensors: TensorMemory,
    compiler: Compiler<EngineTensor>,
    readonly kernels: KernelSet,
    lanes: number,
  ) {
    const minLayerNodes = kernels.name === 'gpu' ? MIN_LAYER_NODES_ON_GPU : 0;
    super({
      engine: BACKEND_NAME,
      tensors,
      compiler,
      fusedKernels: kernels.fusedNames,
      lanes,
      graph: { maxExecutables: maxExecutables(), minLayerNodes },
    });
  }
}
