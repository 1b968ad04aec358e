/** @file Convolution of maps [B, T, H, W, C], and its gradients, by plans of cuDNN. */
import { sizeOf } from '../../../../formats/host_tensor.js';
import { floats } from '../../../record/kernel.js';
import { type ConvolutionGeometry, outputSize } from '../../cudnn/convolution.js';
import type { Builder } from '../../ir/builder.js';
import type { View } from '../../ir/tensor.js';
import { ELEMENT_BYTES } from '../../storage.js';
import type { Policy } from '../lowering.js';
import { planStep } from '../plan_step.js';
import type { FloatStorage } from '../precision.js';

/** What a pass reads: two of x [B, T, H, W, I], weight [O, I, t, h, w] and y [B, T', H', W', O]. The third is its result. */
export type PassOperands =
  | { readonly pass: 'forward'; readonly x: View; readonly weight: View }
  | { readonly pass: 'data'; readonly weight: View; readonly y: View }
  | { readonly pass: 'filter'; readonly x: View; readonly y: View };

const RESULTS = { forward: 'y', data: 'x', filter: 'weight' } as const;

/** A convolution, and the storage of its operands and its result. */
export interface Conv {
  readonly policy: Policy;
  readonly geometry: ConvolutionGeometry;
  readonly storage: FloatStorage;
}

/** Tensor cores take input channels in groups of 16 bytes. */
const GROUP_BYTES = 16;

/** The result of a pass, or null if there is no plan. */
export function plannedConvolution(b: Builder, conv: Conv, { pass, ...views }: PassOperands): View | null {
  const { policy, geometry, storage } = conv;
  const padded = { ...geometry, I: paddedChannels(conv) };
  const found = policy.findPlan({ kind: 'convolution', pass, shape: { ...padded, type: storage } });
  if (!found) return null;
  const [wide, narrow] = [shapesOf(padded), shapesOf(geometry)];
  const operands = Object.entries(views).map(([key, view]) => {
    const name = key as keyof typeof wide;
    return [
      name,
      { view: withRows(b, view, { shape: wide[name], width: widthOf(name, geometry), storage }) },
    ];
  });
  const result = RESULTS[pass];
  const step = planStep({
    found,
    operands: Object.fromEntries(operands),
    results: { [result]: { result: 0, offset: 0, storage } },
    cost: {
      bytes: ELEMENT_BYTES[storage] * (sizeOf(wide.x) + sizeOf(wide.weight) + sizeOf(wide.y)),
      flops: 2 * sizeOf(wide.y) * sizeOf(wide.weight.slice(1)),
    },
  });
  const [whole] = b.call([{ ...floats(wide[result]), storage }], [step]);
  return withRows(b, whole, { shape: narrow[result], width: widthOf(result, padded), storage });
}

/** The number of input channels with those that are added so that tensor cores can be used. */
function paddedChannels({ policy, geometry: { I }, storage }: Conv): number {
  const usesTensorCores = storage === 'bfloat16' || policy.precision === 'tf32';
  const group = usesTensorCores ? GROUP_BYTES / ELEMENT_BYTES[storage] : 1;
  return Math.ceil(I / group) * group;
}

function shapesOf(geometry: ConvolutionGeometry) {
  const { B, I, O, size, kernel } = geometry;
  return { x: [B, ...size, I], weight: [O, I, ...kernel], y: [B, ...outputSize(geometry), O] };
}

/** Elements of an operand that lie together and grow with the number of input channels. */
function widthOf(name: 'x' | 'weight' | 'y', { I, O, kernel }: ConvolutionGeometry): number {
  return name === 'x' ? I : name === 'weight' ? I * sizeOf(kernel) : O;
}

interface NewRows {
  readonly shape: readonly number[];
  /** Elements of a row as it is. */
  readonly width: number;
  readonly storage: FloatStorage;
}

/** The rows of a tensor with zeros added, or elements left out, at the end of each, so that they have another shape. */
function withRows(b: Builder, view: View, { shape, width, storage }: NewRows): View {
  const rows = view.tensor.size / width;
  const newWidth = sizeOf(shape) / rows;
  if (newWidth === width) return b.stored(view, storage);
  return b.map({ ...floats(shape), storage }, (i) => {
    const [row, column] = [i.div(newWidth), i.mod(newWidth)];
    const isInside = column.lt(width);
    const element = row.mul(width).add(column).guarded(isInside, view.tensor.size);
    return isInside.select(b.load(view, element), 0);
  });
}
