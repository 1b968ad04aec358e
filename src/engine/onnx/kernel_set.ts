/** @file The sets of kernels of the onnx engine: for every CPU, for CPUs with the native library, and for GPUs. */
import type { FusedKernelName } from '../kernel_contract.js';
import type { AnyFusedKernel, CompositeKernel, RecordedKernelSet } from '../record/kernel.js';
import type { Target } from './compiler.js';
import type { FusedKernel, Kernel } from './kernel.js';
import { gelu, geluGrad, reluGrad } from './kernels/activations.js';
import { adamUpdate } from './kernels/adam.js';
import { selfAttention, selfAttentionGrad } from './kernels/attention.js';
import { batchNorm, batchNormGrad, columnSums } from './kernels/batch_norm.js';
import { constantKernels } from './kernels/constants.js';
import { conv3d, conv3dGradFilter, conv3dGradInput } from './kernels/conv_products.js';
import { conv3dKernels } from './kernels/conv3d.js';
import { elementwiseKernels } from './kernels/elementwise.js';
import { indexingKernels } from './kernels/indexing.js';
import { layerNorm, layerNormGrad } from './kernels/layer_norm.js';
import { linear, linearGrad } from './kernels/linear.js';
import { matMulKernels } from './kernels/matmul.js';
import { reduceKernels } from './kernels/reduce.js';
import {
  weightedRowSum,
  weightedRowSumGradTable,
  weightedRowSumGradTableLane,
  weightedRowSumGradWeight,
} from './kernels/row_gather.js';
import { shapeKernels } from './kernels/shape.js';
import { nativeGelu, nativeGeluGrad, nativeReluGrad } from './native/activations.js';
import { nativeAdamUpdate } from './native/adam.js';
import { nativeSelfAttention, nativeSelfAttentionGrad } from './native/attention.js';
import { nativeBatchNorm, nativeBatchNormGrad } from './native/batch_norm.js';
import { nativeColumnSums } from './native/column_sums.js';
import { nativeConv3d, nativeConv3dGradFilter, nativeConv3dGradInput } from './native/conv3d.js';
import { nativeLayerNorm, nativeLayerNormGrad } from './native/layer_norm.js';
import { nativeLinear, nativeLinearGrad } from './native/linear.js';
import { nativeMaxPool3d, nativeMaxPool3dGrad } from './native/max_pool3d.js';
import {
  nativeWeightedRowSum,
  nativeWeightedRowSumGradTable,
  nativeWeightedRowSumGradWeight,
} from './native/row_gather.js';
import { nativeSumOfSquares } from './native/sum_of_squares.js';
import { WebGpuBuilder } from './webgpu/builder.js';
import { GPU_FUSED_KERNELS, GPU_TFJS_KERNELS } from './webgpu/kernels.js';

type FusedTable = { readonly [K in FusedKernelName]: FusedKernel<K> | CompositeKernel<K> };
/** Kernels that pay off only if they are one operation of the machine; without it, nn/ composes them. */
type NativeOnly = 'SumOfSquares' | 'MaxPool3d' | 'MaxPool3dGrad';

/** Kernels of one backend. */
export interface KernelSet extends Target, RecordedKernelSet {
  readonly name: 'onnx' | 'native' | 'gpu';
  readonly tfjs: readonly Kernel<never>[];
  readonly fused: readonly AnyFusedKernel<Kernel<never, never>>[];
  readonly fusedNames: ReadonlySet<FusedKernelName>;
}

/** The fused kernels that ONNX Runtime's operators compute. */
const FUSED: Omit<FusedTable, NativeOnly> = {
  Gelu: gelu,
  GeluGrad: geluGrad,
  ReluGrad: reluGrad,
  LayerNorm: layerNorm,
  LayerNormGrad: layerNormGrad,
  Linear: linear,
  LinearGrad: linearGrad,
  SelfAttention: selfAttention,
  SelfAttentionGrad: selfAttentionGrad,
  Conv3d: conv3d,
  Conv3dGradInput: conv3dGradInput,
  Conv3dGradFilter: conv3dGradFilter,
  BatchNorm: batchNorm,
  BatchNormGrad: batchNormGrad,
  ColumnSums: columnSums,
  WeightedRowSum: weightedRowSum,
  WeightedRowSumGradTable: weightedRowSumGradTable,
  WeightedRowSumGradWeight: weightedRowSumGradWeight,
  AdamUpdate: adamUpdate,
};

/** The fused kernels that the native library computes. */
const NATIVE: Partial<FusedTable> = {
  Linear: nativeLinear,
  LinearGrad: nativeLinearGrad,
  Gelu: nativeGelu,
  GeluGrad: nativeGeluGrad,
  ReluGrad: nativeReluGrad,
  LayerNorm: nativeLayerNorm,
  LayerNormGrad: nativeLayerNormGrad,
  WeightedRowSum: nativeWeightedRowSum,
  WeightedRowSumGradTable: nativeWeightedRowSumGradTable,
  WeightedRowSumGradWeight: nativeWeightedRowSumGradWeight,
  AdamUpdate: nativeAdamUpdate,
  SumOfSquares: nativeSumOfSquares,
  Conv3d: nativeConv3d,
  Conv3dGradInput: nativeConv3dGradInput,
  Conv3dGradFilter: nativeConv3dGradFilter,
  BatchNorm: nativeBatchNorm,
  BatchNormGrad: nativeBatchNormGrad,
  MaxPool3d: nativeMaxPool3d,
  MaxPool3dGrad: nativeMaxPool3dGrad,
  ColumnSums: nativeColumnSums,
  SelfAttention: nativeSelfAttention,
  SelfAttentionGrad: nativeSelfAttentionGrad,
};

/** The kernels of tfjs's operations. */
const TFJS_KERNELS: readonly Kernel<never>[] = Object.values({
  ...elementwiseKernels,
  ...reduceKernels,
  ...shapeKernels,
  ...indexingKernels,
  ...constantKernels,
  ...conv3dKernels,
  ...matMulKernels,
});

/** The kernels of one backend: `fused`, and those of tfjs except where `tfjs` has others of the same name. */
function kernelSet(
  name: KernelSet['name'],
  table: Partial<FusedTable>,
  { tfjs = [], newBuilder }: Partial<Pick<KernelSet, 'tfjs' | 'newBuilder'>> = {},
): KernelSet {
  const fused: KernelSet['fused'] = Object.values(table);
  const others = new Map(tfjs.map((kernel) => [kernel.name, kernel]));
  const kernels = TFJS_KERNELS.map((kernel) => others.get(kernel.name) ?? kernel);
  const recorded: readonly Kernel<never, never>[] = [
    ...kernels,
    ...fused.filter((kernel) => 'record' in kernel),
    weightedRowSumGradTableLane,
  ];
  return {
    name,
    tfjs: kernels,
    newBuilder,
    fused,
    fusedNames: new Set(fused.map((kernel) => kernel.name as FusedKernelName)),
    lowerings: new Map(recorded.map((kernel) => [kernel.name, kernel.lower])),
  };
}

/** Kernels for every machine. */
export const ONNX_KERNELS = kernelSet('onnx', FUSED);
/** Kernels for machines with the native library. */
export const NATIVE_KERNELS = kernelSet('native', { ...FUSED, ...NATIVE });
/** Kernels for ONNX Runtime's WebGPU provider. */
export const GPU_KERNELS = kernelSet(
  'gpu',
  { ...FUSED, ...GPU_FUSED_KERNELS },
  { tfjs: GPU_TFJS_KERNELS, newBuilder: (inputs) => new WebGpuBuilder(inputs) },
);
