/** @file The engine without a GPU: it records operations and compiles programs, but runs nothing. */
import { sizeOf } from '../../formats/host_tensor.js';
import type { Compiler, Executable, Graph } from '../lazy/compiler.js';
import type { LazyDtype } from '../lazy/value.js';
import { RecordingBackend } from '../record/backend.js';
import { registerKernels } from '../record/registration.js';
import type { EngineTensor, HostArray } from '../record/tensor.js';
import { tf } from '../tfjs.js';
import { compileProgram } from './compile/compile.js';
import type { Program } from './compile/program.js';
import { FUSED_NAMES, KERNELS, LOWERINGS } from './kernels/kernel_set.js';
import type { Policy } from './kernels/lowering.js';
import type { Storage } from './storage.js';

const BACKEND_NAME = 'cuda-plan';
/** Period of the numbers that a read returns. It is a prime, so that rows of predictions differ. */
const PERIOD = 997;

/** A tensor without content. */
export class PlannedTensor implements EngineTensor {
  constructor(
    readonly shape: readonly number[],
    readonly dtype: LazyDtype,
    readonly storage: Storage = dtype,
  ) {}

  get layout(): string | undefined {
    return this.storage === 'bfloat16' ? this.storage : undefined;
  }

  /** Returns fixed numbers in (0, 1] for floats, so that a loss of them is finite, and zeros for other types. */
  read(): HostArray {
    const size = sizeOf(this.shape);
    if (this.dtype === 'bool') return new Uint8Array(size);
    if (this.dtype === 'int32') return new Int32Array(size);
    return Float32Array.from({ length: size }, (_, i) => (1 + (i % PERIOD)) / PERIOD);
  }

  async readAsync(): Promise<HostArray> {
    return this.read();
  }

  peek(): null {
    return null;
  }

  write(): void {}

  lend(): void {}

  release(): void {}
}

class PlanningCompiler implements Compiler<PlannedTensor> {
  constructor(
    private readonly policy: Policy,
    private readonly onRun: (program: Program) => void,
  ) {}

  compile(graph: Graph): Executable<PlannedTensor> {
    const program = compileProgram(graph, LOWERINGS, this.policy);
    const results = graph.outputs.map(({ node, output }) => graph.nodes[node].outputs[output]);
    const run = () => {
      this.onRun(program);
      return results.map(
        ({ shape, dtype }, n) => new PlannedTensor(shape, dtype, program.outputs[n].storage),
      );
    };
    return { run, runAsync: async () => run(), release: () => {} };
  }
}

/** Does `work` on a backend that only plans, and calls `onRun` for each program that would run. */
export async function planOnly<T>(
  policy: Policy,
  onRun: (program: Program) => void,
  work: () => Promise<T>,
): Promise<T> {
  const current = tf.getBackend() as string | undefined;
  const compiler = new PlanningCompiler(policy, onRun);
  const tensors = {
    allocate: (shape: readonly number[], dtype: LazyDtype) => new PlannedTensor(shape, dtype),
  };
  const parts = { engine: 'cuda', tensors, compiler, fusedKernels: FUSED_NAMES, lanes: 1 };
  tf.registerBackend(BACKEND_NAME, () => new RecordingBackend({ ...parts, graph: { minLayerNodes: 100 } }));
  if (tf.getKernelsForBackend(BACKEND_NAME).length === 0) registerKernels(BACKEND_NAME, KERNELS);
  try {
    await tf.setBackend(BACKEND_NAME);
    return await work();
  } finally {
    if (current) await tf.setBackend(current);
    tf.removeBackend(BACKEND_NAME);
  }
}
