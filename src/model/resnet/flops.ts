/** @file Floating-point operations of the convolutions of ResNet backbones and their necks. */
import type { Backbone, ClipSize, ForwardFlops, ModelConfig } from '../backbone.js';

const STRIDES: Readonly<Record<string, number>> = { s1: 2, s2: 4, s3: 8, s4: 16, s5: 32 };

/** The forward pass of one clip. Weights say how many operations each position of a layer's result takes. */
export function resnetFlops(
  backbone: Backbone,
  cfg: ModelConfig,
  { frames, height, width }: ClipSize,
): ForwardFlops {
  const areaAt = (stride: number) => Math.ceil(height / stride) * Math.ceil(width / stride);
  let [first, rest] = [0, 0];
  for (const [name, weight] of backbone.namedParameters()) {
    if (weight.shape.length !== 5) continue;
    const [stage] = name.split(/[._]/);
    const pathFrames = name.includes('pathway1') ? cfg.DATA.NUM_FRAMES : frames;
    const stride = STRIDES[stage] * (name.includes('fuse') && stage === 's1' ? 2 : 1);
    const flops = 2 * weight.size * pathFrames * areaAt(isBeforeStride(name, cfg) ? stride / 2 : stride);
    if (name.includes('stem')) first += flops;
    else rest += flops;
  }
  const neck = backbone.channels.map(
    (channels, level) => 2 * frames * areaAt(4 * 2 ** level) * channels * cfg.MODEL.STM.HIDDEN_DIM,
  );
  return { first, rest: rest + neck.reduce((a, b) => a + b) };
}

/** Whether a convolution lies before the stride of its stage. */
function isBeforeStride(name: string, { RESNET }: ModelConfig): boolean {
  return /^s[345]\..*_res0\.branch2\.a\./.test(name) && !RESNET.STRIDE_1X1;
}
