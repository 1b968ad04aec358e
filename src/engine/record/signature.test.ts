/** @file Kernels with a signature record their operands in order, and name them again for a lowering. */
import type { TensorInfo } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { FUSED_KERNELS, type FusedKernels } from '../kernel_contract.js';
import { floats } from './kernel.js';
import { namedOperands, signatureKernel } from './signature.js';

const tensor = (shape: number[]): TensorInfo => ({ dataId: {}, shape, dtype: 'float32' });

const layerNorm = signatureKernel<FusedKernels['LayerNorm']>('LayerNorm', FUSED_KERNELS.LayerNorm, {
  results: ({ x }) => [floats(x.shape)],
});
const [x, weight, bias] = [tensor([2, 3]), tensor([3]), tensor([3])];
const attributes = { eps: 1e-6, width: 3 };

it.each([
  ['all inputs', { bias, weight, x }, [x, weight, bias]],
  ['one input left out', { bias, x }, [x, bias]],
  ['only required inputs', { x }, [x]],
])('records %s in the order of the contract, and finds their names again', (_, inputs, operands) => {
  const call = layerNorm.record(inputs, attributes);
  expect(call).toMatchObject({ inputs: operands, outputs: [{ shape: [2, 3], dtype: 'float32' }] });
  expect(call.attributes).toMatchObject(attributes);
  const node = { attributes: call.attributes as object };
  const found = namedOperands<FusedKernels['LayerNorm'], TensorInfo>(
    FUSED_KERNELS.LayerNorm,
    call.inputs,
    node,
  );
  expect(Object.keys(found)).toHaveLength(operands.length);
  for (const [name, operand] of Object.entries(found)) expect(operand).toBe((inputs as never)[name]);
});
