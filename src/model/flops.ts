/** @file Floating-point operations of the matrix products of a step or a forward pass; a multiply-add counts as two. */
import { featureFrames } from '../config/backbone_rules.js';
import type { Config } from '../config/index.js';
import { familyOf } from '../config/rule.js';
import { NECK_LEVELS } from './neck.js';
import { resnetFlops } from './resnet/flops.js';

/** A product and its two gradients, for the input and the weight, each as much work as the product. */
const FORWARD_AND_BACKWARD = 3;
/** The first layer's input needs no gradient. */
const FORWARD_AND_WEIGHT = 2;
/** Feature levels × neighbours of a bilinear sample. */
const ROWS_PER_SAMPLE = NECK_LEVELS.length * 4;

/** Floating-point operations of one step on `batch` clips of `height`×`width` pixels; recomputation is not counted. */
export function necessaryFlops(cfg: Config, batch: number, height: number, width: number): number {
  const { first, rest } = clipFlops(cfg, height, width);
  return batch * (FORWARD_AND_WEIGHT * first + FORWARD_AND_BACKWARD * rest);
}

/** Floating-point operations of the forward pass alone. */
export function forwardFlops(cfg: Config, batch: number, height: number, width: number): number {
  const { first, rest } = clipFlops(cfg, height, width);
  return batch * (first + rest);
}

/** Operations of the forward pass of one clip. The layers that read the video need no gradient for their input. */
export interface ForwardFlops {
  readonly first: number;
  readonly rest: number;
}

const product = (rows: number, inner: number, columns: number) => 2 * rows * inner * columns;

/** The forward pass of one clip: the first layers, and everything after them. */
function clipFlops(cfg: Config, height: number, width: number): ForwardFlops {
  const { STM } = cfg.MODEL;
  const family = familyOf(cfg);
  const frames = featureFrames(cfg) ?? 0;
  const D = STM.HIDDEN_DIM;
  const backbone =
    family === 'vit'
      ? vitFlops(cfg, frames * (height / cfg.ViT.PATCH_SIZE) * (width / cfg.ViT.PATCH_SIZE))
      : resnetFlops(cfg, { frames, height, width });
  const { NUM_QUERIES: Q, N_GROUPS: G, SPATIAL_POINTS: P, OUT_MULTIPLIER: M } = STM;
  const attention = product(Q, D, 4 * D) + 2 * product(Q, Q, D);
  const feedForward = product(Q, D, 2 * STM.DIM_FEEDFORWARD);
  const mixing = (points: number) => {
    const perGroup = D / G;
    const generate = product(Q, D, G * (perGroup ** 2 + M * points ** 2));
    const mix = G * Q * (product(points, perGroup, perGroup) + product(M * points, points, perGroup));
    return generate + mix + product(Q, M * points * D, D);
  };
  const sampling = product(Q, D, 3 * G * P) + 2 * Q * G * P * ROWS_PER_SAMPLE * ((frames * D) / G);
  const heads =
    product(Q, D, (STM.NUM_CLS + STM.NUM_REG) * D) +
    product(Q, 2 * D, STM.NUM_ACT * 2 * D + STM.ACTION_CLASSES);
  const stage = 2 * (attention + feedForward) + sampling + mixing(P) + mixing(frames) + heads;
  return { first: backbone.first, rest: backbone.rest + STM.NUM_STAGES * stage };
}

/** A ViT on N tokens, and its neck. */
function vitFlops({ ViT, MODEL }: Config, N: number): ForwardFlops {
  const C = ViT.EMBED_DIM;
  const D = MODEL.STM.HIDDEN_DIM;
  const patch = product(N, ViT.IN_CHANS * ViT.TUBELET_SIZE * ViT.PATCH_SIZE ** 2, C);
  const block = product(N, C, (4 + 2 * ViT.MLP_RATIO) * C) + 2 * product(N, N, C);
  const neck = NECK_LEVELS.map(({ scale }) => {
    const positions = N * scale * scale;
    const rescale =
      scale === 4 ? product(N, C, 2 * C) + product(4 * N, C / 2, C) : scale === 2 ? product(N, C, 2 * C) : 0;
    const channels = { 4: C / 4, 2: C / 2, 1: C, 0.5: C }[scale];
    return rescale + product(positions, channels, D) + product(positions, 27 * D, D);
  }).reduce((a, b) => a + b);
  return { first: patch, rest: ViT.DEPTH * block + neck };
}
