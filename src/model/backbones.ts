/** @file The registry of backbones, by the values of MODEL.BACKBONE.CONV_BODY. */
import type { Config } from '../config/index.js';
import type { BackboneName } from '../config/schema/choices.js';
import { ConfigError } from '../errors.js';
import type { Backbone, BackboneKind, ModelConfig } from './backbone.js';
import { vit } from './vit.js';

const REGISTRY: Readonly<Record<BackboneName, BackboneKind>> = { 'MAE-ViT-B': vit, 'MAE-ViT-L': vit };

/** Returns the kind of the configured backbone; null if it is unknown. */
export function backboneKind({ MODEL }: Pick<Config, 'MODEL'>): BackboneKind | null {
  const { CONV_BODY } = MODEL.BACKBONE;
  return CONV_BODY in REGISTRY ? REGISTRY[CONV_BODY as BackboneName] : null;
}

/** Makes the configured backbone. Throws ConfigError if its kind is unknown. */
export function makeBackbone(cfg: ModelConfig): Backbone {
  const kind = backboneKind(cfg);
  if (!kind)
    throw new ConfigError(
      `MODEL.BACKBONE.CONV_BODY: expected ${Object.keys(REGISTRY).join(' or ')}, found ${cfg.MODEL.BACKBONE.CONV_BODY}`,
    );
  return kind.make(cfg);
}
