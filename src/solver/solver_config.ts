/** @file The part of the configuration that the solver reads. */
import type { Config } from '../config/index.js';

export type SolverConfig = Pick<Config, 'MODEL' | 'ViT' | 'SOLVER'>;

/** Whether the backbone is a vision transformer (`MAE-ViT-B`, `MAE-ViT-L`). */
export function hasVitBackbone(cfg: SolverConfig): boolean {
  return cfg.MODEL.BACKBONE.CONV_BODY.includes('ViT');
}

/** Whether the configuration asks for learning rates that fall from the last layer to the first. */
export function usesLayerDecay(cfg: SolverConfig): boolean {
  return hasVitBackbone(cfg) && cfg.ViT.LAYER_DECAY < 1;
}
