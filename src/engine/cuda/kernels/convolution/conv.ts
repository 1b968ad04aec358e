/**
 * @file Convolution of maps [B, T, H, W, C] with any kernel, stride and padding, and its gradients: as plans of cuDNN, or as products
 * with a matrix of the neighbourhoods of all positions. A kernel of one tap with stride 1 is always a product.
 */
import { sizeOf } from '../../../../formats/host_tensor.js';
import type { ConvAttributes, Size3 } from '../../../kernel_contract.js';
import { floats } from '../../../record/kernel.js';
import { type ConvolutionGeometry, outputSize } from '../../cudnn/convolution.js';
import type { Builder } from '../../ir/builder.js';
import { coordinatesOf, elementAt } from '../../ir/coordinates.js';
import type { View } from '../../ir/tensor.js';
import { fusedKernel } from '../fused_kernel.js';
import { matmul, productStep } from '../gemm.js';
import { join } from '../join.js';
import type { Policy } from '../lowering.js';
import { operandStorage } from '../precision.js';
import { type Conv, type PassOperands, plannedConvolution } from './conv_plan.js';
import { chunksOf, isPointwise, tapsOf, weightMatrix } from './neighbourhoods.js';

/** Bytes of the neighbourhoods that exist at a time, by default. */
const MAX_BYTES = 2 ** 28;

interface Shaped {
  readonly shape: readonly number[];
}

/** The geometry of a convolution of x [B, T, H, W, I] with weight [O, I, t, h, w]. */
function geometryOf(
  { shape: x }: Shaped,
  { shape: w }: Shaped,
  { stride, padding }: ConvAttributes,
): ConvolutionGeometry {
  const [size, kernel] = [x.slice(1, 4), w.slice(2)] as unknown as Size3[];
  return { B: x[0], I: w[1], O: w[0], size, kernel, stride, padding };
}

/** The shape [O, I, t, h, w] of the weight between two maps. */
const weightOf = (x: Shaped, y: Shaped, kernel: Size3): Shaped => ({
  shape: [y.shape[4], x.shape[4], ...kernel],
});

const resultOf = (geometry: ConvolutionGeometry) => [geometry.B, ...outputSize(geometry), geometry.O];

/** The convolution with its storage, which follows from its multiply-adds. */
function convOf(policy: Policy, geometry: ConvolutionGeometry): Conv {
  const multiplyAdds = sizeOf(resultOf(geometry)) * geometry.I * tapsOf(geometry);
  return { policy, geometry, storage: operandStorage(policy, multiplyAdds) };
}

/** The result of a pass if a plan computes it. cuBLASLt multiplies what is a product already. */
function planned(b: Builder, conv: Conv, operands: PassOperands): View | null {
  const { geometry } = conv;
  return isPointwise(geometry) || geometry.B === 0 ? null : plannedConvolution(b, conv, operands);
}

/** The neighbourhoods of x times the weight, plus the bias. */
function product(
  b: Builder,
  { policy, geometry, storage }: Conv,
  { x, weight, bias }: { readonly x: View; readonly weight: View; readonly bias?: View },
  maxBytes: number,
): View {
  const matrix = weightMatrix(b, weight, 'x', storage);
  const parts = chunksOf(b, { map: x, of: 'x', geometry }, { storage, maxBytes }).map((chunk) =>
    matmul(b, policy, { a: chunk.matrix, b: matrix, transposeB: true, bias, storage }),
  );
  return join(b, parts, floats(resultOf(geometry)));
}

interface Epilogue {
  readonly bias?: View;
  readonly residual?: View;
  readonly relu: boolean;
}

/** Adds a bias to each position and a residual, and ends with a ReLU. */
function finished(b: Builder, y: View, { bias, residual, relu }: Epilogue): View {
  if (!bias && !residual && !relu) return y;
  const { shape, tensor } = y;
  return b.map({ ...floats(shape), storage: tensor.storage }, (i) => {
    let value = b.load(y, i);
    if (bias) value = value.add(b.load(bias, i.mod(bias.tensor.size)));
    if (residual) value = value.add(b.load(residual, i));
    return relu ? value.max(0) : value;
  });
}

function forward(
  b: Builder,
  conv: Conv,
  { x, weight, bias, ...rest }: { readonly x: View; readonly weight: View } & Epilogue,
  maxBytes: number,
): View {
  const plan = planned(b, conv, { pass: 'forward', x, weight });
  if (plan) return finished(b, plan, { bias, ...rest });
  return finished(b, product(b, conv, { x, weight, bias }, maxBytes), rest);
}

/** The neighbourhoods of dy times the weight. */
function inputGradient(
  b: Builder,
  conv: Conv,
  { dy, weight }: Record<'dy' | 'weight', View>,
  maxBytes: number,
): View {
  const plan = planned(b, conv, { pass: 'data', y: dy, weight });
  if (plan) return plan;
  const { policy, geometry, storage } = conv;
  const matrix = weightMatrix(b, weight, 'y', storage);
  const parts = chunksOf(b, { map: dy, of: 'y', geometry }, { storage, maxBytes }).map((chunk) =>
    matmul(b, policy, { a: chunk.matrix, b: matrix, storage }),
  );
  return join(b, parts, floats([geometry.B, ...geometry.size, geometry.I]));
}

/** The sum over positions of the products of dy and the neighbourhoods of x. Gradients of weights are added up in float32. */
function filterGradient(b: Builder, conv: Conv, { x, dy }: Record<'x' | 'dy', View>, maxBytes: number): View {
  const plan = planned(b, conv, { pass: 'filter', x, y: dy });
  if (plan) return b.stored(plan, 'float32');
  const { policy, geometry, storage } = conv;
  const { I, O } = geometry;
  const taps = tapsOf(geometry);
  const info = floats(weightOf(x, dy, geometry.kernel).shape);
  if (dy.tensor.size === 0) return b.map(info, () => b.float(0));
  const slopes = b.stored(dy, storage);
  const chunks = chunksOf(b, { map: x, of: 'x', geometry }, { storage, maxBytes });
  const parts = chunks.map(({ first, count, matrix }) => {
    const step = productStep(policy, {
      M: O,
      N: taps * I,
      K: count,
      a: { view: slopes, offset: first * O, stride: O, isTransposed: true },
      b: { view: matrix, stride: taps * I },
      c: { result: 0, stride: taps * I, storage: 'float32' },
    });
    return b.call([floats([O, taps * I])], [step])[0];
  });
  if (taps === 1 && parts.length === 1) return b.reshape(parts[0], info.shape);
  return b.map(info, (e) => {
    const [o, i, tap] = coordinatesOf(e, [O, I, taps]);
    const element = elementAt([o, tap, i], [O, taps, I], b.int(0));
    return parts.map((part) => b.load(part, element)).reduce((sum, part) => sum.add(part));
  });
}

/** Makes the kernels of convolutions with any kernel, stride and padding, and of their gradients. */
export function conv3dKernels(maxBytes = MAX_BYTES) {
  return [
    fusedKernel('Conv3d', {
      results: ({ x, weight }, attributes) => [floats(resultOf(geometryOf(x, weight, attributes)))],
      lower: (b, inputs, attributes, policy) => {
        const conv = convOf(policy, geometryOf(inputs.x, inputs.weight, attributes));
        return [forward(b, conv, { ...inputs, relu: attributes.relu }, maxBytes)];
      },
    }),
    fusedKernel('Conv3dGradInput', {
      results: (_, { shape }) => [floats(shape)],
      lower: (b, { dy, weight }, attributes, policy) => {
        const conv = convOf(policy, geometryOf(attributes, weight, attributes));
        return [inputGradient(b, conv, { dy, weight }, maxBytes)];
      },
    }),
    fusedKernel('Conv3dGradFilter', {
      results: ({ x, dy }, { kernel }) => [floats(weightOf(x, dy, kernel).shape)],
      lower: (b, { x, dy }, attributes, policy) => {
        const conv = convOf(policy, geometryOf(x, weightOf(x, dy, attributes.kernel), attributes));
        return [filterGradient(b, conv, { x, dy }, maxBytes)];
      },
    }),
  ] as const;
}
