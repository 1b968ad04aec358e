/** @file The part of the configuration that the solver reads. */
import type { Config } from '../config/index.js';
import { backboneKind } from '../model/backbones.js';

export type SolverConfig = Pick<Config, 'MODEL' | 'ViT' | 'SOLVER'>;

/** Whether the backbone has layers for layer decay. */
export function hasLayers(cfg: SolverConfig): boolean {
  return backboneKind(cfg).layers !== undefined;
}

/** Whether the configuration reduces the learning rate from the last layer to the first. */
export function usesLayerDecay(cfg: SolverConfig): boolean {
  return hasLayers(cfg) && cfg.ViT.LAYER_DECAY < 1;
}
