/** @file Floating-point operations of the matrix products of a step or a forward pass; a multiply-add counts as two. */
import { featureFrames } from '../config/backbone_rules.js';
import type { Config } from '../config/index.js';
import type { ForwardFlops } from './backbone.js';
import { backboneKind } from './backbones.js';
import { NECK_LEVELS } from './neck.js';

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

const product = (rows: number, inner: number, columns: number) => 2 * rows * inner * columns;

/** The forward pass of one clip: the first layers, and everything after them. */
function clipFlops(cfg: Config, height: number, width: number): ForwardFlops {
  const { STM } = cfg.MODEL;
  const frames = featureFrames(cfg) ?? 0;
  const D = STM.HIDDEN_DIM;
  const backbone = backboneKind(cfg).flops(cfg, { frames, height, width });
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
