/** @file The settings that are stored in a weight file: those that building its model and preparing clips for it need. */
import { formatPythonLiteral } from '../formats/python/literals.js';
import { finishConfig, type LoadedConfig } from './load.js';
import { describeValue, type Origin } from './messages.js';
import { type Assignment, parseOverrides } from './overrides.js';
import { assign } from './resolve.js';
import { type Config, defaultConfig, FIELDS, getValue } from './schema/index.js';

/** Settings that decide what the network computes. Weights mean nothing with other values. */
const ESSENTIAL: ReadonlySet<string> = new Set([
  'MODEL.BACKBONE.CONV_BODY',
  ...[
    'NUM_QUERIES',
    'HIDDEN_DIM',
    'NUM_STAGES',
    'ACTION_CLASSES',
    'OBJECT_CLASSES',
    'NUM_HEADS',
    'DIM_FEEDFORWARD',
    'NUM_FCS',
    'ACTIVATION',
    'SPATIAL_POINTS',
    'TEMPORAL_POINTS',
    'OUT_MULTIPLIER',
    'N_GROUPS',
    'NUM_CLS',
    'NUM_ACT',
    'NUM_REG',
  ].map((name) => `MODEL.STM.${name}`),
  ...[
    'TUBELET_SIZE',
    'PATCH_SIZE',
    'IN_CHANS',
    'EMBED_DIM',
    'PRETRAIN_IMG_SIZE',
    'USE_LEARNABLE_POS_EMB',
    'DEPTH',
    'NUM_HEADS',
    'MLP_RATIO',
    'QKV_BIAS',
    'QK_SCALE',
  ].map((name) => `ViT.${name}`),
  'MODEL.BACKBONE.PATHWAYS',
  ...[
    'TRANS_FUNC',
    'NUM_GROUPS',
    'WIDTH_PER_GROUP',
    'STRIDE_1X1',
    'DEPTH',
    'NUM_BLOCK_TEMP_KERNEL',
    'SPATIAL_STRIDES',
    'SPATIAL_DILATIONS',
  ].map((name) => `RESNET.${name}`),
  ...['LOCATION', 'GROUP', 'INSTANTIATION', 'POOL'].map((name) => `NONLOCAL.${name}`),
  ...['BETA_INV', 'ALPHA', 'FUSION_CONV_CHANNEL_RATIO', 'FUSION_KERNEL_SZ'].map((name) => `SLOWFAST.${name}`),
  ...['NUM_FRAMES', 'SAMPLING_RATE', 'INPUT_CHANNEL_NUM', 'MEAN', 'STD', 'REVERSE_INPUT_CHANNEL'].map(
    (name) => `DATA.${name}`,
  ),
  'AVA.BGR',
  'AVA.FPS',
]);

/** Settings that a user may well change between training and detection. */
const CHANGEABLE: readonly string[] = [
  'ViT.INIT_VALUES',
  'MODEL.STM.PERSON_THRESHOLD',
  'DATA.TEST_MIN_SCALES',
  'DATALOADER.SIZE_DIVISIBILITY',
];

/** Values by full path. */
export type StoredSettings = ReadonlyMap<string, unknown>;

/** The settings to store with weights. A part of a configuration gives the settings that it has. */
export function settingsToStore(config: Partial<Config>): Map<string, unknown> {
  const settings = new Map<string, unknown>();
  for (const key of FIELDS.keys()) {
    if (!ESSENTIAL.has(key) && !CHANGEABLE.includes(key)) continue;
    const value = key.split('.')[0] in config ? getValue(config, key) : undefined;
    if (value !== undefined) settings.set(key, value);
  }
  return settings;
}

/**
 * The configuration of a weight file: defaults, overridden by its settings, overridden by `KEY VALUE …` arguments. Settings
 * that this version does not know are left out. Throws a ConfigError that lists everything that is wrong.
 */
export function configOfSettings(
  settings: StoredSettings,
  file: string,
  overrides: readonly string[] = [],
): LoadedConfig {
  const origin: Origin = { source: 'file', file };
  const stored: Assignment[] = [];
  for (const [key, value] of settings) {
    // A text is decoded like one of a command line, unless it is quoted.
    const plain = typeof value === 'string' ? formatPythonLiteral(value) : value;
    if (FIELDS.has(key)) stored.push({ key, value: plain, origin });
  }
  const given = parseOverrides(overrides);
  const assigned = assign(defaultConfig(), [...stored, ...given.assignments]);
  return finishConfig(assigned, given.problems, origin);
}

/** The settings that decide what the network computes and that differ here, e.g. `ViT.DEPTH 12 (here 2)`. */
export function differingSettings(settings: StoredSettings, config: Config): string[] {
  return [...settings].flatMap(([key, value]) => {
    if (!ESSENTIAL.has(key) || !FIELDS.has(key)) return [];
    const [theirs, ours] = [value, getValue(config, key)].map(describeValue);
    return theirs === ours ? [] : [`${key} ${theirs} (here ${ours})`];
  });
}
