/** @file What every backbone offers to the detector and the solver. */
import type * as tf from '@tensorflow/tfjs';
import type { Config } from '../config/index.js';
import type { Module } from '../nn/module.js';
import type { MaskSource } from './dropout.js';

/** The settings that models are built from. */
export type ModelConfig = Pick<Config, 'DATA' | 'ViT' | 'MODEL'>;

export interface Backbone extends Module {
  /** Channels C of the map. */
  readonly channels: number;
  /** Video [B, T, H, W, 3] to one map of features [B, t, H/16, W/16, C]. `masks` draws drop path and dropout. */
  forward(video: tf.Tensor, masks?: MaskSource): tf.Tensor;
}

/** Layers for layer-wise learning rate decay, counted from the input: 0, 1, …, count − 1. */
export interface BackboneLayers {
  count(cfg: Pick<Config, 'ViT'>): number;
  /** Layer of the parameter `name` (relative to the backbone) of a backbone with `count` layers. */
  layerOf(name: string, count: number): number;
}

/** A kind of backbone, as the registry knows it. */
export interface BackboneKind {
  make(cfg: ModelConfig): Backbone;
  /** Absent: the learning rate does not decay by layer. */
  readonly layers?: BackboneLayers;
}
