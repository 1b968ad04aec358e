/** @file The interface of backbones to the detector and the solver. */
import type * as tf from '@tensorflow/tfjs';
import type { Config } from '../config/index.js';
import type { Module } from '../nn/module.js';
import type { MaskSource } from './dropout.js';

/** The settings that models are built from. */
export type ModelConfig = Pick<Config, 'DATA' | 'ViT' | 'MODEL'>;

/** The first part of the network, which turns a video into a map of features. */
export interface Backbone extends Module {
  /** Channels C of the map. */
  readonly channels: number;
  /** Computes a map of features [B, t, H/16, W/16, C] from a video [B, T, H, W, 3]. `masks` draws drop path and dropout. */
  forward(video: tf.Tensor, masks?: MaskSource): tf.Tensor;
}

/** The layers for layer-wise learning rate decay, numbered from the input: 0, 1, …, count − 1. */
export interface BackboneLayers {
  count(cfg: Pick<Config, 'ViT'>): number;
  /** Returns the layer of a parameter, whose name is relative to the backbone. */
  layerOf(name: string, count: number): number;
}

/** A kind of backbone in the registry. */
export interface BackboneKind {
  make(cfg: ModelConfig): Backbone;
  /** Absent if the learning rate cannot decay by layer. */
  readonly layers?: BackboneLayers;
}
