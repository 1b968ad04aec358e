/** @file Compares the results of cuDNN's plans with those of the engine's own kernels and of products. */
import { CudaCompiler, type CudaSettings, policyOf } from '../../src/engine/cuda/compiler.js';
import type { AttentionShape } from '../../src/engine/cuda/cudnn/attention.js';
import { type CudaTensor, CudaTensorMemory } from '../../src/engine/cuda/device/cuda_tensor.js';
import type { CudaDevice } from '../../src/engine/cuda/device/device.js';
import { fusedKernels } from '../../src/engine/cuda/kernels/fused.js';
import type { Policy } from '../../src/engine/cuda/kernels/lowering.js';
import {
  type ConvAttributes,
  countWindows,
  FUSED_KERNELS,
  type FusedKernelName,
  type Size3,
} from '../../src/engine/kernel_contract.js';
import type { Graph } from '../../src/engine/lazy/compiler.js';
import type { ValueInfo } from '../../src/engine/lazy/value.js';
import { Rng } from '../../src/util/random.js';
import { relativeError } from '../golden/golden.js';

export interface PlanComparison {
  /** What plans computed, such as `attention`; empty if there are none. */
  readonly planned: readonly string[];
  /** Of each result: the norm of the difference, relative to the norm of the result. */
  readonly differences: Readonly<Record<string, number>>;
}

/** Computes with a policy; the caller releases the results. */
type Compute = (policy: Policy) => Readonly<Record<string, CudaTensor>>;

/** Self-attention of random projections: `out` and `statistics`, and the gradient `dqkv`. */
export function compareAttention(
  device: CudaDevice,
  settings: CudaSettings,
  { B, N, H, D, scale }: AttentionShape,
): PlanComparison {
  const attributes = { heads: H, scale };
  const qkv = randomTensor(device, [B, N, 3 * H * D], 1);
  const dy = randomTensor(device, [B, N, H * D], 2);
  return compare({ device, settings, inputs: [qkv, dy] }, (policy) => {
    const run = { device, policy, attributes };
    const [out, statistics] = runKernel(run, 'SelfAttention', { qkv });
    const [dqkv] = runKernel(run, 'SelfAttentionGrad', { dy, qkv, out, statistics });
    return { out, statistics, dqkv };
  });
}

/** A map [B, T, H, W, I], the number of channels of the result, and the geometry; by default 3×3×3 with padding 1. */
export interface ConvolutionCase extends Partial<ConvAttributes> {
  readonly map: readonly number[];
  readonly O: number;
  readonly kernel?: Size3;
}

/** Convolution of a random map: `y`, and the gradients `dx` and `dweight`. */
export function compareConvolution(
  device: CudaDevice,
  settings: CudaSettings,
  { map, O, kernel = [3, 3, 3], stride = [1, 1, 1], padding = [1, 1, 1] }: ConvolutionCase,
): PlanComparison {
  const I = map[4];
  const x = randomTensor(device, map, 1);
  const weight = randomTensor(device, [O, I, ...kernel], 2);
  const dy = randomTensor(device, [map[0], ...countWindows(map, { kernel, stride, padding }), O], 3);
  return compare({ device, settings, inputs: [x, weight, dy] }, (policy) => {
    const run = (name: FusedKernelName, inputs: Readonly<Record<string, CudaTensor>>, more: object) =>
      runKernel({ device, policy, attributes: { stride, padding, ...more } }, name, inputs);
    const [y] = run('Conv3d', { x, weight }, { relu: false });
    const [dx] = run('Conv3dGradInput', { dy, weight }, { shape: map });
    const [dweight] = run('Conv3dGradFilter', { x, dy }, { kernel });
    return { y, dx, dweight };
  });
}

interface Comparing {
  readonly device: CudaDevice;
  readonly settings: CudaSettings;
  /** Released at the end. */
  readonly inputs: readonly CudaTensor[];
}

function compare({ device, settings, inputs }: Comparing, compute: Compute): PlanComparison {
  const policy = policyOf(device, settings);
  const planned: string[] = [];
  const withPlans = compute({
    ...policy,
    findPlan: (computation) => {
      const found = policy.findPlan(computation);
      if (found) planned.push(computation.kind === 'convolution' ? computation.pass : computation.kind);
      return found;
    },
  });
  const without = compute({ ...policy, findPlan: () => null });
  const differences = Object.entries(without).map(([name, tensor]) => {
    const [actual, expected] = [readOnce(withPlans[name]), readOnce(tensor)];
    return [name, relativeError(actual, expected)] as const;
  });
  for (const input of inputs) input.release();
  return { planned, differences: Object.fromEntries(differences) };
}

/** Numbers between -1 and 1. */
function randomTensor(device: CudaDevice, shape: readonly number[], seed: number): CudaTensor {
  const rng = new Rng(seed);
  const tensor = new CudaTensorMemory(device).allocate(shape, 'float32');
  tensor.write(Float32Array.from({ length: tensor.size }, () => rng.uniformBetween(-1, 1)));
  return tensor;
}

/** Compiles and runs a fused kernel. */
function runKernel(
  { device, policy, attributes }: { device: CudaDevice; policy: Policy; attributes: object },
  name: FusedKernelName,
  inputs: Readonly<Record<string, CudaTensor>>,
): CudaTensor[] {
  const kernel = fusedKernels.find((fused) => fused.name === name) as (typeof fusedKernels)[number];
  const names = Object.keys(FUSED_KERNELS[name]);
  const operands = names.flatMap((input) => inputs[input] ?? []);
  const results = kernel.results as (...args: unknown[]) => readonly ValueInfo[];
  const outputs = results(inputs, attributes);
  const graph: Graph = {
    nodes: [
      {
        op: name,
        attributes: { ...attributes, missing: names.filter((input) => !inputs[input]) },
        inputs: operands.map(({ shape }, input) => ({ source: { input }, shape })),
        outputs,
      },
    ],
    inputs: operands.map(({ shape, dtype, layout }) => ({ shape, dtype, layout })),
    outputs: outputs.map((_, output) => ({ node: 0, output })),
    stream: 0,
  };
  return new CudaCompiler(device, policy).compile(graph).run(operands);
}

function readOnce(tensor: CudaTensor): ArrayLike<number> {
  const data = tensor.read();
  tensor.release();
  return data;
}
