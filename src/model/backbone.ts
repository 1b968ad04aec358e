/** @file The interface of backbones to the detector and the solver. */
import type * as tf from '@tensorflow/tfjs';
import type { Config } from '../config/index.js';
import type { NormScope } from '../nn/batch_norm.js';
import type { Layer } from '../nn/layers.js';
import type { Module } from '../nn/module.js';
import type { MaskSource } from './dropout.js';

/** The settings that models are built from. */
export type ModelConfig = Pick<Config, 'DATA' | 'ViT' | 'MODEL' | 'RESNET' | 'NONLOCAL' | 'SLOWFAST'>;

/** The first part of the network, which turns a video into maps of features. */
export interface Backbone extends Module {
  /** Channels of each map. */
  readonly channels: readonly number[];
  /**
   * Computes maps of features [B, t, h, w, C] from a video [B, T, H, W, 3]: one for each level of the neck, or one for all of
   * them. `masks` draws drop path and dropout; `scope` takes the statistics of batch norms in training mode.
   */
  forward(video: tf.Tensor, masks?: MaskSource, scope?: NormScope): tf.Tensor[];
}

/** The layers for layer-wise learning rate decay, numbered from the input: 0, 1, …, count − 1. */
export interface BackboneLayers {
  count(cfg: Pick<Config, 'ViT'>): number;
  /** Returns the layer of a parameter, whose name is relative to the backbone. */
  layerOf(name: string, count: number): number;
}

/** The size of a clip: frames of its feature maps, and pixels. */
export interface ClipSize {
  readonly frames: number;
  readonly height: number;
  readonly width: number;
}

/** Floating-point operations of a forward pass of one clip. The layers that read the video need no gradient for their input. */
export interface ForwardFlops {
  readonly first: number;
  readonly rest: number;
}

/** A family of backbones in the registry. */
export interface BackboneKind {
  make(cfg: ModelConfig): Backbone;
  /** Makes the levels of the neck, from the finest to the coarsest. Each turns a map of the backbone into one with `channels`. */
  makeNeck(backbone: Backbone, channels: number): Layer[];
  /** Counts the operations of the backbone's and the neck's matrix products. */
  flops(cfg: ModelConfig, clip: ClipSize): ForwardFlops;
  /** Absent if the learning rate cannot decay by layer. */
  readonly layers?: BackboneLayers;
}
