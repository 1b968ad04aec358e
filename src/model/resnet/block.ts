/** @file Residual blocks of convolutional backbones: convolutions without bias, each followed by batch normalisation. */
import type * as tf from '@tensorflow/tfjs';
import type { Size3 } from '../../engine/kernel_contract.js';
import { sizeOf } from '../../formats/host_tensor.js';
import { BatchNorm, type NormScope } from '../../nn/batch_norm.js';
import { type Conv3dOptions, conv3d } from '../../nn/conv3d.js';
import { fanInUniform } from '../../nn/init.js';
import { Module, Parameter } from '../../nn/module.js';

/** What the layers of a backbone share. */
export interface NormContext {
  /** Whether norms use their running statistics in training, too. */
  readonly frozen: boolean;
}

interface ConvShape extends Pick<Conv3dOptions, 'stride' | 'padding' | 'dilation' | 'groups'> {
  readonly kernel: Size3;
}

/** A convolution without activation (torch.nn.Conv3d). */
export class Conv extends Module {
  readonly weight: Parameter;
  readonly bias?: Parameter;
  readonly shape: ConvShape;

  constructor(
    inChannels: number,
    outChannels: number,
    { hasBias = false, ...shape }: ConvShape & { readonly hasBias?: boolean },
  ) {
    super();
    this.shape = shape;
    const perGroup = inChannels / (shape.groups ?? 1);
    const init = fanInUniform(perGroup * sizeOf(shape.kernel));
    this.weight = new Parameter([outChannels, perGroup, ...shape.kernel], init);
    if (hasBias) this.bias = new Parameter([outChannels], init);
  }

  forward(x: tf.Tensor): tf.Tensor {
    return conv3d(x, this.weight.value, { ...this.shape, bias: this.bias?.value });
  }
}

/** Convolves, normalises, adds `residual`, and ends with a ReLU, if wanted. */
export function convNorm(
  x: tf.Tensor,
  [conv, norm]: readonly [conv: Conv, norm: BatchNorm],
  options: { readonly relu: boolean; readonly residual?: tf.Tensor; readonly scope?: NormScope },
): tf.Tensor {
  return norm.after(x, conv.weight.value, { ...conv.shape, ...options });
}

export interface BlockShape {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels between the convolutions of a bottleneck. */
  readonly innerChannels: number;
  /** Frames of the temporal kernel. */
  readonly temporalKernel: number;
  /** Stride along height and width. */
  readonly stride: number;
  readonly dilation: number;
  readonly groups: number;
  /** Whether a bottleneck has its stride in the first convolution. */
  readonly strideIn1x1: boolean;
}

/** Values of RESNET.TRANS_FUNC. */
export type TransformName = 'bottleneck_transform' | 'basic_transform';

/** The convolutions of a residual block. */
abstract class Transform extends Module {
  /** Adds the shortcut to the result, and ends with a ReLU. */
  abstract forward(x: tf.Tensor, shortcut: tf.Tensor, scope?: NormScope): tf.Tensor;
}

/** T×1×1, 1×3×3, 1×1×1. */
class Bottleneck extends Transform {
  readonly a: Conv;
  readonly a_bn: BatchNorm;
  readonly b: Conv;
  readonly b_bn: BatchNorm;
  readonly c: Conv;
  readonly c_bn: BatchNorm;

  constructor(shape: BlockShape, norms: NormContext) {
    super();
    const { inChannels, outChannels, innerChannels: inner, temporalKernel: T, dilation: d, groups } = shape;
    const strides: readonly Size3[] = [
      [1, 1, 1],
      [1, shape.stride, shape.stride],
    ];
    const [strideA, strideB] = shape.strideIn1x1 ? [strides[1], strides[0]] : strides;
    const padding: Size3 = [Math.floor(T / 2), 0, 0];
    this.a = new Conv(inChannels, inner, { kernel: [T, 1, 1], padding, stride: strideA });
    this.a_bn = new BatchNorm(inner, norms);
    this.b = new Conv(inner, inner, {
      kernel: [1, 3, 3],
      padding: [0, d, d],
      dilation: [1, d, d],
      stride: strideB,
      groups,
    });
    this.b_bn = new BatchNorm(inner, norms);
    this.c = new Conv(inner, outChannels, { kernel: [1, 1, 1] });
    this.c_bn = new BatchNorm(outChannels, norms);
  }

  override forward(x: tf.Tensor, shortcut: tf.Tensor, scope?: NormScope): tf.Tensor {
    const a = convNorm(x, [this.a, this.a_bn], { relu: true, scope });
    const b = convNorm(a, [this.b, this.b_bn], { relu: true, scope });
    return convNorm(b, [this.c, this.c_bn], { relu: true, residual: shortcut, scope });
  }
}

/** T×3×3, 1×3×3. */
class Basic extends Transform {
  readonly a: Conv;
  readonly a_bn: BatchNorm;
  readonly b: Conv;
  readonly b_bn: BatchNorm;

  constructor(shape: BlockShape, norms: NormContext) {
    super();
    const { inChannels, outChannels, temporalKernel: T, stride, dilation: d } = shape;
    this.a = new Conv(inChannels, outChannels, {
      kernel: [T, 3, 3],
      padding: [Math.floor(T / 2), 1, 1],
      stride: [1, stride, stride],
    });
    this.a_bn = new BatchNorm(outChannels, norms);
    this.b = new Conv(outChannels, outChannels, {
      kernel: [1, 3, 3],
      padding: [0, d, d],
      dilation: [1, d, d],
    });
    this.b_bn = new BatchNorm(outChannels, norms);
  }

  override forward(x: tf.Tensor, shortcut: tf.Tensor, scope?: NormScope): tf.Tensor {
    const a = convNorm(x, [this.a, this.a_bn], { relu: true, scope });
    return convNorm(a, [this.b, this.b_bn], { relu: true, residual: shortcut, scope });
  }
}

const TRANSFORMS = { bottleneck_transform: Bottleneck, basic_transform: Basic };

/** ReLU(shortcut(x) + branch2(x)). The shortcut is a convolution if the shape of the map changes. */
export class ResBlock extends Module {
  readonly branch1?: Conv;
  readonly branch1_bn?: BatchNorm;
  readonly branch2: Transform;

  constructor(shape: BlockShape, transform: TransformName, norms: NormContext) {
    super();
    const { inChannels, outChannels, stride } = shape;
    if (inChannels !== outChannels || stride !== 1) {
      this.branch1 = new Conv(inChannels, outChannels, { kernel: [1, 1, 1], stride: [1, stride, stride] });
      this.branch1_bn = new BatchNorm(outChannels, norms);
    }
    this.branch2 = new TRANSFORMS[transform](shape, norms);
  }

  /** Maps x [B, T, H, W, inChannels] to [B, T, H / stride, W / stride, outChannels], rounded up. */
  forward(x: tf.Tensor, scope?: NormScope): tf.Tensor {
    const { branch1, branch1_bn } = this;
    const shortcut = branch1 && branch1_bn ? convNorm(x, [branch1, branch1_bn], { relu: false, scope }) : x;
    return this.branch2.forward(x, shortcut, scope);
  }
}
