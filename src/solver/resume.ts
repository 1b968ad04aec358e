/** @file What to tell a user whose run continues from a checkpoint. */
import type { PyValue } from '../util/python_values.js';
import { LayerDecayValueAssigner } from './layer_decay.js';
import { APPLY_LR_SCALE_KEY } from './optimizer_state.js';
import { asDict, asList } from './python_dict.js';
import { type SolverConfig, usesLayerDecay } from './solver_config.js';

/**
 * A warning where the run that saved this optimizer state trained the backbone's layers at other rates than this run
 * will: the official code never applies `lr_scale`, and our own switch may have been turned. Null where nothing changes.
 */
export function lrScaleWarning(cfg: SolverConfig, optimizerState: PyValue): string | null {
  if (!usesLayerDecay(cfg)) return null;
  const groups = asList(
    asDict(optimizerState, 'optimizer state').get('param_groups'),
    'optimizer param_groups',
  );
  const marks = groups.map((group) => asDict(group, 'optimizer param_groups').get(APPLY_LR_SCALE_KEY));
  const saved = marks.some((mark) => mark === true);
  const now = cfg.SOLVER.APPLY_LR_SCALE;
  if (saved === now) return null;
  const { values } = LayerDecayValueAssigner.fromConfig(cfg);
  const range = `${values[0].toPrecision(3)} to ${values[values.length - 1].toPrecision(3)}`;
  const origin = marks.every((mark) => mark === undefined)
    ? 'the checkpoint comes from the official code, which never multiplies learning rates by lr_scale'
    : `the checkpoint was trained with SOLVER.APPLY_LR_SCALE ${saved ? 'True' : 'False'}`;
  return (
    `${origin}; with ViT.LAYER_DECAY ${cfg.ViT.LAYER_DECAY} this run ` +
    (now ? `multiplies the backbone's by ${range}` : `no longer multiplies the backbone's by ${range}`) +
    `. Set SOLVER.APPLY_LR_SCALE ${now ? 'False' : 'True'} to go on as before`
  );
}
