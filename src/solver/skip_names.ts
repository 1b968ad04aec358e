/** @file Warnings about names in ViT.NO_WEIGHT_DECAY that match no parameter. */
import { distance } from 'fastest-levenshtein';
import type { DetectorParameters } from './make_optimizer.js';
import { hasLayers, type SolverConfig } from './solver_config.js';

/** The official list holds it for backbones whose position embedding is learnt. */
const OFFICIAL = 'pos_embed';
const SHOWN = 3;

/** A sentence for each name that keeps no parameter of the backbone from weight decay, with the names that are near. */
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

/** The parameter of that name, or parameters whose names contain it, or else those with the most similar names. */
function nearNames(name: string, names: readonly string[]): string[] {
  const inside = name.replace(/^(module\.)?backbone\./, '');
  if (names.includes(inside)) return [inside];
  const pattern = inside.replace(/[.*]+$/, '').replace(/^[.*]+/, '');
  const parts = pattern === '' ? [] : names.filter((other) => `.${other}.`.includes(`.${pattern}.`));
  if (parts.length > 0) return parts;
  const far = new Map(names.map((other) => [other, distance(other, inside)]));
  return names.toSorted((a, b) => far.get(a)! - far.get(b)!).slice(0, SHOWN);
}
