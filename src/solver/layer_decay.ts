/** @file Layer-wise learning rate decay of a backbone: the factor of each layer. */
import type { BackboneLayers } from '../model/backbone.js';
import { backboneKind } from '../model/backbones.js';
import { getNumLayerForVit } from '../model/vit.js';
import type { SolverConfig } from './solver_config.js';

/** Factors of the learning rate by layer. */
export class LayerDecayValueAssigner {
  constructor(
    readonly values: readonly number[],
    private readonly layerOf: BackboneLayers['layerOf'] = getNumLayerForVit,
  ) {}

  /** Factors decay^(n − 1 − i) for the layers i = 0 … n − 1 of the backbone. Throws if it has no layers. */
  static fromConfig(cfg: SolverConfig): LayerDecayValueAssigner {
    const layers = backboneKind(cfg)?.layers;
    if (!layers) throw new Error(`${cfg.MODEL.BACKBONE.CONV_BODY} has no layers`);
    const count = layers.count(cfg);
    const values = Array.from({ length: count }, (_, layer) => cfg.ViT.LAYER_DECAY ** (count - 1 - layer));
    return new LayerDecayValueAssigner(values, layers.layerOf);
  }

  getScale(layerId: number): number {
    const scale = this.values[layerId];
    if (scale === undefined) {
      throw new RangeError(`layer ${layerId} of a backbone that has layers 0 to ${this.values.length - 1}`);
    }
    return scale;
  }

  getLayerId(varName: string): number {
    return this.layerOf(varName, this.values.length);
  }
}
