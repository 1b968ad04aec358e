/** @file Layer-wise learning rate decay of a backbone: the factor of each layer. */
import type { BackboneLayers } from '../model/backbone.js';
import { backboneKind } from '../model/backbones.js';
import { getNumLayerForVit } from '../model/vit.js';
import type { SolverConfig } from './solver_config.js';

/** Assigns a factor of the learning rate to each layer. */
export class LayerDecayValueAssigner {
  constructor(
    readonly values: readonly number[],
    private readonly layerOf: BackboneLayers['layerOf'] = getNumLayerForVit,
  ) {}

  /** Uses the factors decay^(n − 1 − i) for layers i = 0 … n − 1 of the backbone. Throws if it has no layers. */
  static fromConfig(cfg: SolverConfig): LayerDecayValueAssigner {
    const layers = backboneKind(cfg).layers;
    if (!layers) throw new Error(`${cfg.MODEL.BACKBONE.CONV_BODY} has no layers`);
    const count = layers.count(cfg);
    const values = Array.from({ length: count }, (_, layer) => cfg.ViT.LAYER_DECAY ** (count - 1 - layer));
    return new LayerDecayValueAssigner(values, layers.layerOf);
  }

  /** Returns the factor of a layer. Throws RangeError if there is no such layer. */
  getScale(layerId: number): number {
    const scale = this.values[layerId];
    if (scale === undefined) {
      throw new RangeError(`layer ${layerId} of a backbone that has layers 0 to ${this.values.length - 1}`);
    }
    return scale;
  }

  /** Returns the layer of a parameter, whose name is relative to the backbone. */
  getLayerId(varName: string): number {
    return this.layerOf(varName, this.values.length);
  }
}
