/** @file The kernels of the cuda engine: what each records, and its lowering. */
import {
  FUSED_KERNELS,
  type FusedKernelName,
  type FusedKernels,
  type InputTable,
} from '../../kernel_contract.js';
import type { AnyFusedKernel, RecordedKernelSet } from '../../record/kernel.js';
import { constantKernels } from '../../record/kernels/constants.js';
import { conv3dKernels } from '../../record/kernels/conv3d.js';
import { elementwiseKernels } from '../../record/kernels/elementwise.js';
import { indexingKernels } from '../../record/kernels/indexing.js';
import { matMulKernels } from '../../record/kernels/matmul.js';
import { reduceKernels } from '../../record/kernels/reduce.js';
import { shapeKernels } from '../../record/kernels/shape.js';
import { signatureKernel } from '../../record/signature.js';
import { fusedKernels } from './fused.js';
import type { FusedKernel } from './fused_kernel.js';
import { LOWERINGS as tfjsLowerings } from './index.js';
import type { Lowering } from './lowering.js';
import { batchMatMul } from './matmul.js';
import { scatterNd, unsortedSegmentSum } from './scatter.js';

/** The record half of a fused kernel. */
function recorded<K extends FusedKernelName>({ name, results }: FusedKernel<K>): AnyFusedKernel {
  const inputs: InputTable<FusedKernels[K]> = FUSED_KERNELS[name];
  return signatureKernel<FusedKernels[K]>(name, inputs, { results });
}

export const FUSED_NAMES: ReadonlySet<FusedKernelName> = new Set(fusedKernels.map(({ name }) => name));

export const KERNELS: RecordedKernelSet = {
  tfjs: [
    ...Object.values(constantKernels),
    ...Object.values(conv3dKernels),
    ...Object.values(elementwiseKernels),
    ...Object.values(indexingKernels),
    ...Object.values(matMulKernels),
    ...Object.values(reduceKernels),
    ...Object.values(shapeKernels),
  ],
  fused: fusedKernels.map((kernel) => recorded(kernel as FusedKernel<FusedKernelName>)),
};

export const LOWERINGS: ReadonlyMap<string, Lowering> = new Map<string, Lowering>([
  ...Object.entries(tfjsLowerings),
  ['BatchMatMul', batchMatMul],
  ['ScatterNd', scatterNd],
  ['UnsortedSegmentSum', unsortedSegmentSum],
  ...fusedKernels.map(({ name, lower }) => [name, lower] as const),
]);
