/** @file Compiles recorded graphs for a GPU. */
import { EngineError } from '../../errors.js';
import { type Compiler, describeNodes, type Graph } from '../lazy/compiler.js';
import { compileProgram } from './compile/compile.js';
import { CudaExecutable } from './compile/executable.js';
import { GEMM_WORKSPACE_BYTES } from './compile/program.js';
import type { CudaTensor } from './device/cuda_tensor.js';
import type { CudaDevice } from './device/device.js';
import { LOWERINGS } from './kernels/kernel_set.js';
import type { Policy } from './kernels/lowering.js';

/** How a program computes, as ENGINE.PRECISION and ENGINE.DETERMINISTIC say. */
export type CudaSettings = Pick<Policy, 'precision' | 'bfloat16Sizes' | 'isDeterministic'>;

/** The policy of a device: what its libraries can do. */
export function policyOf({ cublasLt, cudnn }: CudaDevice, settings: CudaSettings): Policy {
  const { precision, isDeterministic } = settings;
  const options = { isDeterministic, allowsTf32: precision === 'tf32' };
  return {
    ...settings,
    hasAlgorithm: (gemm) => cublasLt !== null && cublasLt.plan(gemm, GEMM_WORKSPACE_BYTES) !== null,
    findPlan: (computation) => cudnn?.find({ ...computation, ...options }) ?? null,
  };
}

export class CudaCompiler implements Compiler<CudaTensor> {
  constructor(
    private readonly device: CudaDevice,
    private readonly policy: Policy,
  ) {}

  /** Throws EngineError, which names the operations. */
  compile(graph: Graph): CudaExecutable {
    try {
      const program = compileProgram(graph, LOWERINGS, this.policy);
      const shapes = graph.outputs.map(({ node, output }) => graph.nodes[node].outputs[output].shape);
      return new CudaExecutable(this.device, program, shapes);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(`${error.message}\n${describeNodes(graph.nodes)}`, { cause: error });
    }
  }
}
