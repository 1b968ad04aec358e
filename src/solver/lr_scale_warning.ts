/** @file Warns if a continued run treats `lr_scale` differently than before. */
import { asDict, asList, asNumber } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
import { LayerDecayValueAssigner } from './layer_decay.js';
import { APPLY_LR_SCALE_KEY } from './optimizer_state.js';
import { type SolverConfig, usesLayerDecay } from './solver_config.js';

/**
 * Returns a warning if the layers of the backbone had other learning rates in the run that saved this optimizer state: the
 * official code never applies `lr_scale`, and SOLVER.APPLY_LR_SCALE may have changed. Returns null if nothing changes.
 */
export function lrScaleWarning(cfg: SolverConfig, optimizerState: PyValue): string | null {
  if (!usesLayerDecay(cfg)) return null;
  const groups = asList(
    asDict(optimizerState, 'optimizer state').get('param_groups'),
    'optimizer param_groups',
  );
  const dicts = groups.map((group) => asDict(group, 'optimizer param_groups'));
  const marks = dicts.map((group) => group.get(APPLY_LR_SCALE_KEY));
  const saved = marks.some((mark) => mark === true);
  const now = cfg.SOLVER.APPLY_LR_SCALE;
  if (saved === now) return null;
  const values = scalesIn(dicts) ?? LayerDecayValueAssigner.fromConfig(cfg).values;
  const range = `${Math.min(...values).toPrecision(3)} to ${Math.max(...values).toPrecision(3)}`;
  const origin = marks.every((mark) => mark === undefined)
    ? 'the checkpoint comes from the official code, which never multiplies learning rates by lr_scale'
    : `the checkpoint was trained with SOLVER.APPLY_LR_SCALE ${saved ? 'True' : 'False'}`;
  return (
    `${origin}; with ViT.LAYER_DECAY ${cfg.ViT.LAYER_DECAY} this run ` +
    (now ? `multiplies the backbone's by ${range}` : `no longer multiplies the backbone's by ${range}`) +
    `. Set SOLVER.APPLY_LR_SCALE ${now ? 'False' : 'True'} to go on as before`
  );
}

/** Returns the factors in the groups of a file, which replace those of the configuration; null if there are none. */
function scalesIn(groups: readonly ReadonlyMap<PyValue, PyValue>[]): number[] | null {
  const scales = groups.map((group) => group.get('lr_scale') ?? null).filter((scale) => scale !== null);
  return scales.length === 0
    ? null
    : scales.map((scale) => asNumber(scale, 'optimizer param_groups, lr_scale'));
}
