/** @file Layer-wise learning rate decay of a vision transformer: which layer a parameter is in, and its factor. */
import type { SolverConfig } from './solver_config.js';

const FIRST_LAYER_NAMES = new Set(['cls_token', 'mask_token', 'pos_embed']);

/**
 * Layer of a backbone parameter among `numMaxLayer` layers: 0 = embeddings, i + 1 = block i, the last one = everything
 * after the blocks. Names are relative to the backbone; a leading `backbone.` is ignored.
 */
export function getNumLayerForVit(varName: string, numMaxLayer: number): number {
  const name = varName.startsWith('backbone.') ? varName.slice('backbone.'.length) : varName;
  if (FIRST_LAYER_NAMES.has(name) || name.startsWith('patch_embed')) return 0;
  const block = /^blocks\.(\d+)\./.exec(name);
  if (block) return Number(block[1]) + 1;
  return numMaxLayer - 1;
}

/** Factors of the learning rate by layer. */
export class LayerDecayValueAssigner {
  constructor(readonly values: readonly number[]) {}

  /** Factors decay^(depth + 1 − i) for i = 0 … depth + 1, as the configuration asks for. */
  static fromConfig(cfg: SolverConfig): LayerDecayValueAssigner {
    const { DEPTH, LAYER_DECAY } = cfg.ViT;
    return new LayerDecayValueAssigner(
      Array.from({ length: DEPTH + 2 }, (_, layer) => LAYER_DECAY ** (DEPTH + 1 - layer)),
    );
  }

  getScale(layerId: number): number {
    const scale = this.values[layerId];
    if (scale === undefined) {
      throw new RangeError(`layer ${layerId} of a backbone that has layers 0 to ${this.values.length - 1}`);
    }
    return scale;
  }

  getLayerId(varName: string): number {
    return getNumLayerForVit(varName, this.values.length);
  }
}
