/** @file Reports optimizer settings of the checkpoint that override the configuration, under their configuration keys. */
import { describeDifference, type SettingDifference } from './setting_differences.js';

const NAMES: Record<string, string> = {
  betas: 'SOLVER.BETAS',
  momentum: 'SOLVER.MOMENTUM',
  dampening: 'SOLVER.DAMPENING',
  nesterov: 'SOLVER.NESTEROV',
};

/** The base learning rate, which is reported with the schedule. */
const BASE_LR = 'initial_lr';

/**
 * Describes the settings in which an optimizer state differs from the configuration; null if there are none. The settings of
 * the checkpoint apply, even with --adjust-lr.
 */
export function describeOptimizerSettings(differences: readonly SettingDifference[]): string | null {
  const shown = differences.filter(({ setting }) => setting !== BASE_LR);
  if (shown.length === 0) return null;
  const scales = shown.filter(({ setting }) => setting === 'lr_scale');
  const texts = shown.filter(({ setting }) => setting !== 'lr_scale').map(differenceText);
  if (scales.length > 0) texts.push(scaleText(scales));
  return `the optimizer's settings stay those of the checkpoint, with and without --adjust-lr: ${texts.join('; ')}`;
}

function differenceText(difference: SettingDifference): string {
  const { setting, configured, loaded } = difference;
  const name = setting === 'weight_decay' ? decayName(difference) : NAMES[setting];
  return name === undefined
    ? describeDifference(difference)
    : `${name} ${configured} has no effect (checkpoint: ${loaded})`;
}

/** Returns the configuration keys of the groups' weight decay. */
function decayName({ names }: SettingDifference): string {
  const found = names.map((name) => {
    if (name === 'rest') return 'SOLVER.WEIGHT_DECAY';
    return name === 'backbone_bn' ? 'SOLVER.WEIGHT_DECAY_BN' : 'ViT.WEIGHT_DECAY';
  });
  return [...new Set(found)].join(' and ');
}

/** Describes changed factors of layer decay by the first group; each layer has its own factor. */
function scaleText(scales: readonly SettingDifference[]): string {
  const [{ configured, loaded, names }] = scales;
  const more = scales.length > 1 ? `, and so on in ${scales.length} kinds of groups` : '';
  return `ViT.LAYER_DECAY has no effect: lr_scale of ${names[0]} would be ${configured} (checkpoint: ${loaded})${more}`;
}
