/** @file The part of the configuration that the solver reads. */

/** Satisfied by the whole configuration; tests need not build one. */
export interface SolverConfig {
  readonly MODEL: { readonly BACKBONE: { readonly CONV_BODY: string } };
  readonly ViT: {
    readonly DEPTH: number;
    readonly LAYER_DECAY: number;
    readonly WEIGHT_DECAY: number;
    readonly NO_WEIGHT_DECAY: readonly string[];
  };
  readonly SOLVER: {
    readonly ITER_PER_EPOCH: number;
    readonly MAX_EPOCH: number;
    readonly BASE_LR: number;
    readonly BETAS: readonly number[];
    readonly WEIGHT_DECAY: number;
    readonly WEIGHT_DECAY_BN: number;
    readonly OPTIMIZING_METHOD: string;
    readonly MOMENTUM: number;
    readonly DAMPENING: number;
    readonly NESTEROV: boolean;
    readonly APPLY_LR_SCALE: boolean;
    readonly SCHEDULER: string;
    readonly GAMMA: number;
    readonly STEPS: readonly number[];
    readonly WARMUP_ON: boolean;
    readonly WARMUP_FACTOR: number;
    readonly WARMUP_EPOCH: number;
    readonly WARMUP_METHOD: string;
  };
}

/** Whether the backbone is a vision transformer (`MAE-ViT-B`, `MAE-ViT-L`). */
export function hasVitBackbone(cfg: SolverConfig): boolean {
  return cfg.MODEL.BACKBONE.CONV_BODY.includes('ViT');
}

/** Whether the configuration asks for learning rates that fall from the last layer to the first. */
export function usesLayerDecay(cfg: SolverConfig): boolean {
  return hasVitBackbone(cfg) && cfg.ViT.LAYER_DECAY < 1;
}
