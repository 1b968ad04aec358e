/**
 * @file Plans of convolutions of maps in channels-last order.
 *
 * Shapes: x [B, T, H, W, I], weight [O, I, t, h, w] (torch.nn.Conv3d), y [B, T', H', W', O].
 */
import { countWindows, type Size3, type Windows } from '../../kernel_contract.js';
import {
  type ConvolutionPass,
  GraphBuilder,
  type OperationGraph,
  type TensorLayout,
  type TensorType,
} from './graph.js';
import { buildPlan, type CudnnPlan, type PlanContext } from './plan.js';

export interface ConvolutionGeometry extends Windows {
  readonly B: number;
  /** Input and output channels. */
  readonly I: number;
  readonly O: number;
  /** Size of x. */
  readonly size: Size3;
}

export interface ConvolutionShape extends ConvolutionGeometry {
  /** Storage of x, y and the weight, and of their gradients. */
  readonly type: TensorType;
}

/** Size of y. */
export const outputSize = (geometry: ConvolutionGeometry): Size3 =>
  countWindows([geometry.B, ...geometry.size], geometry);

/**
 * A convolution. Arguments: `x`, `weight` and `y`, or their gradients under the same names: pass `forward` writes `y`, `data`
 * writes `x` and `filter` writes `weight`. Sums are computed in float32. Returns null if cuDNN has no plan.
 */
export function convolution(
  context: PlanContext,
  pass: ConvolutionPass,
  shape: ConvolutionShape,
): CudnnPlan | null {
  return buildPlan(context, convolutionGraph(pass, shape));
}

export function convolutionGraph(pass: ConvolutionPass, shape: ConvolutionShape): OperationGraph {
  const { B, I, O, size, kernel, stride, padding, type } = shape;
  const graph = new GraphBuilder();
  const x = graph.argument('x', channelsLast(type, [B, I, ...size]));
  const w = graph.argument('weight', channelsFirst(type, [O, I, ...kernel]));
  const y = graph.argument('y', channelsLast(type, [B, O, ...outputSize(shape)]));
  graph.operations.push({ kind: 'convolution', pass, x: x.id, w: w.id, y: y.id, padding, stride });
  return graph;
}

/** Axes are [B, C, T, H, W] to cuDNN, in whatever order they lie in memory. */
function channelsLast(type: TensorType, dims: readonly number[]): TensorLayout {
  const [, C, T, H, W] = dims;
  return { type, dims, strides: [T * H * W * C, 1, H * W * C, W * C, C] };
}

/** cuDNN's kernels want channels last; for weights, which are small, it reorders them in the workspace. */
function channelsFirst(type: TensorType, dims: readonly number[]): TensorLayout {
  const [, C, T, H, W] = dims;
  return { type, dims, strides: [C * T * H * W, T * H * W, H * W, W, 1] };
}
