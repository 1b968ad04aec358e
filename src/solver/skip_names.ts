/** @file Warnings about names in ViT.NO_WEIGHT_DECAY that match no parameter. */
import { distance } from 'fastest-levenshtein';
import type { DetectorParameters } from './make_optimizer.js';
import { hasLayers, type SolverConfig } from './solver_config.js';

/** A name in the default list, which only backbones with a learnable position embedding have. */
const OFFICIAL = 'pos_embed';
const SHOWN = 3;

/** Returns a warning for each name that matches no parameter of the backbone, with the most similar names. */
export function skipNameWarnings(cfg: SolverConfig, model: DetectorParameters): string[] {
  if (!hasLayers(cfg)) return [];
  const names = Array.from(model.backbone.namedParameters(), ([name]) => name);
  const known = new Set(names);
  return [...new Set(cfg.ViT.NO_WEIGHT_DECAY)]
    .filter((name) => !known.has(name) && name !== OFFICIAL)
    .map((name) => {
      const near = nearNames(name, names);
      const shown = near.slice(0, SHOWN).join(', ') + (near.length > SHOWN ? `, … (${near.length})` : '');
      return (
        `ViT.NO_WEIGHT_DECAY: "${name}" is the name of no parameter of the backbone and has no effect; names are whole and ` +
        `relative to the backbone: ${near.length > 1 ? `nearest are ${shown}` : `write ${shown}`}`
      );
    });
}

/** Returns the parameter of that name, or those whose names contain it, or else those with the most similar names. */
function nearNames(name: string, names: readonly string[]): string[] {
  const inside = name.replace(/^(module\.)?backbone\./, '');
  if (names.includes(inside)) return [inside];
  const pattern = inside.replace(/[.*]+$/, '').replace(/^[.*]+/, '');
  const containing = pattern === '' ? [] : names.filter((other) => `.${other}.`.includes(`.${pattern}.`));
  if (containing.length > 0) return containing;
  const distances = new Map(names.map((other) => [other, distance(other, inside)]));
  return names.toSorted((a, b) => distances.get(a)! - distances.get(b)!).slice(0, SHOWN);
}
