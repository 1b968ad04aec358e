/** @file The registry of backbones: the code of each family. */
import type { Config } from '../config/index.js';
import {
  BACKBONE_NAMES,
  BACKBONES,
  type BackboneFamily,
  type BackboneName,
} from '../config/schema/choices.js';
import { ConfigError } from '../errors.js';
import type { BackboneKind } from './backbone.js';
import { slowFast, slowOnly } from './resnet.js';
import { vit } from './vit.js';

const FAMILIES: Readonly<Record<BackboneFamily, BackboneKind>> = {
  vit,
  slowonly: slowOnly,
  slowfast: slowFast,
};

/** Returns the kind of the configured backbone. Throws ConfigError if it cannot be built. */
export function backboneKind({ MODEL }: Pick<Config, 'MODEL'>): BackboneKind {
  const { CONV_BODY } = MODEL.BACKBONE;
  if (CONV_BODY in BACKBONES) return FAMILIES[BACKBONES[CONV_BODY as BackboneName]];
  throw new ConfigError(
    `MODEL.BACKBONE.CONV_BODY: expected ${BACKBONE_NAMES.join(' or ')}, found ${CONV_BODY}`,
  );
}
