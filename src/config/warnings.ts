/** @file Warnings about settings that are accepted but do not do what they seem to do. */
import { describeValue, formatOrigin, type Origin } from './messages.js';
import { familyOf } from './rule.js';
import type { BackboneFamily } from './schema/choices.js';
import { type Config, defaultConfig, FIELDS, getValue } from './schema/index.js';

interface Warning {
  /** The misleading key. */
  key: string;
  applies(config: Config): boolean;
  message(config: Config): string;
}

const sgdOnly = (key: string): Warning => ({
  key,
  applies: ({ SOLVER }) => SOLVER.OPTIMIZING_METHOD !== 'sgd',
  message: ({ SOLVER }) =>
    `has no effect with SOLVER.OPTIMIZING_METHOD ${SOLVER.OPTIMIZING_METHOD}, only with sgd`,
});

const multiStepOnly = (key: string): Warning => ({
  key,
  applies: ({ SOLVER }) => SOLVER.SCHEDULER !== 'warmup_multi_step',
  message: ({ SOLVER }) => `has no effect with SOLVER.SCHEDULER ${SOLVER.SCHEDULER}`,
});

const warmupOnly = (key: string): Warning => ({
  key,
  applies: ({ SOLVER }) => !SOLVER.WARMUP_ON,
  message: () => 'has no effect while SOLVER.WARMUP_ON is False',
});

/** Warnings for keys whose value is not the default. */
const CHANGED: readonly Warning[] = [
  sgdOnly('SOLVER.MOMENTUM'),
  sgdOnly('SOLVER.DAMPENING'),
  sgdOnly('SOLVER.NESTEROV'),
  {
    key: 'SOLVER.BETAS',
    applies: ({ SOLVER }) => SOLVER.OPTIMIZING_METHOD === 'sgd',
    message: () => 'has no effect with SOLVER.OPTIMIZING_METHOD sgd',
  },
  multiStepOnly('SOLVER.STEPS'),
  multiStepOnly('SOLVER.GAMMA'),
  warmupOnly('SOLVER.WARMUP_FACTOR'),
  warmupOnly('SOLVER.WARMUP_EPOCH'),
  warmupOnly('SOLVER.WARMUP_METHOD'),
  {
    key: 'SOLVER.NONFINITE_LIMIT',
    applies: ({ SOLVER }) => SOLVER.ON_NONFINITE === 'stop',
    message: () => 'has no effect with SOLVER.ON_NONFINITE stop',
  },
  {
    key: 'AVA.TRAIN_PCA_JITTER_ONLY',
    applies: ({ AVA }) => !AVA.TRAIN_USE_COLOR_AUGMENTATION,
    message: () => 'has no effect while AVA.TRAIN_USE_COLOR_AUGMENTATION is False',
  },
  {
    key: 'SOLVER.APPLY_LR_SCALE',
    applies: ({ ViT }) => ViT.LAYER_DECAY >= 1,
    message: () => 'has no effect without layer decay (ViT.LAYER_DECAY below 1)',
  },
];

/** Warnings for keys with any value. */
const ALWAYS: readonly Warning[] = [
  {
    key: 'MODEL.BACKBONE.CONV_BODY',
    applies: ({ MODEL, ViT }) => MODEL.BACKBONE.CONV_BODY === 'MAE-ViT-L' && ViT.EMBED_DIM === 768,
    message: () =>
      'the name does not set the sizes, which are those of ViT-B; ViT-L has ViT.EMBED_DIM 1024, DEPTH 24, NUM_HEADS 16',
  },
  {
    key: 'DATA.DATASETS',
    applies: ({ DATA }) => DATA.DATASETS.length > 1,
    message: ({ DATA }) => `only the first one, ${DATA.DATASETS[0]}, is used`,
  },
  {
    key: 'DATA.TEST_MIN_SCALES',
    applies: ({ DATA }) => DATA.TEST_MIN_SCALES.length > 1,
    message: () => 'one of several sizes is picked at random for each clip, so evaluations will differ',
  },
  {
    key: 'MODEL.STM.OBJECT_CLASSES',
    applies: ({ MODEL }) => MODEL.STM.OBJECT_CLASSES > 1,
    message: () => 'the data has boxes of persons only; other object classes never occur in training',
  },
  {
    key: 'ViT.LAYER_DECAY',
    applies: ({ ViT }) => ViT.LAYER_DECAY > 1,
    message: () => 'acts like 1 (no layer decay); layer decay is below 1',
  },
  {
    key: 'SOLVER.STEPS',
    applies: ({ SOLVER }) =>
      SOLVER.SCHEDULER === 'warmup_multi_step' && SOLVER.STEPS.some((step) => step >= SOLVER.MAX_EPOCH),
    message: ({ SOLVER }) =>
      `a step is never reached: training ends after SOLVER.MAX_EPOCH ${SOLVER.MAX_EPOCH}`,
  },
  {
    key: 'SOLVER.WARMUP_EPOCH',
    applies: ({ SOLVER }) => SOLVER.WARMUP_ON && SOLVER.WARMUP_EPOCH >= SOLVER.MAX_EPOCH,
    message: ({ SOLVER }) =>
      `training ends before the warm-up does, with SOLVER.MAX_EPOCH ${SOLVER.MAX_EPOCH}; the learning rate never reaches SOLVER.BASE_LR`,
  },
];

const RESNETS = ['slowonly', 'slowfast'] as const;

/** Keys, or sections with a dot at the end, that only some backbones read, and the name of these for a message. */
const READERS: readonly { key: string; families: readonly BackboneFamily[]; name: string }[] = [
  { key: 'ViT.', families: ['vit'], name: 'a ViT reads' },
  { key: 'RESNET.STRIDE_1X1', families: ['slowonly'], name: 'SlowOnly reads' },
  { key: 'RESNET.', families: RESNETS, name: 'ResNets read' },
  { key: 'NONLOCAL.', families: RESNETS, name: 'ResNets read' },
  { key: 'SLOWFAST.', families: ['slowfast'], name: 'SlowFast reads' },
  { key: 'MODEL.BACKBONE.FROZEN_BN', families: RESNETS, name: 'ResNets read' },
  { key: 'DATA.INPUT_CHANNEL_NUM', families: RESNETS, name: 'ResNets read' },
  { key: 'SOLVER.WEIGHT_DECAY_BN', families: RESNETS, name: 'ResNets read' },
];

/** Why the configured backbone does not read a key; null if it does. */
function unread(key: string, config: Config): string | null {
  const family = familyOf(config);
  const reader = READERS.find(({ key: prefix }) =>
    prefix.endsWith('.') ? key.startsWith(prefix) : key === prefix,
  );
  if (family === null || reader === undefined || reader.families.includes(family)) return null;
  return `only ${reader.name} it, and MODEL.BACKBONE.CONV_BODY is ${config.MODEL.BACKBONE.CONV_BODY}`;
}

/** Returns one message for each misleading setting, first those of keys without effect, in the order of the schema. */
export function findWarnings(config: Config, origins: ReadonlyMap<string, Origin>): string[] {
  const defaults = defaultConfig();
  const isChanged = (key: string) =>
    JSON.stringify(getValue(config, key)) !== JSON.stringify(getValue(defaults, key));
  const warn = (key: string, message: string) =>
    `${formatOrigin(origins.get(key)!)}: ${key} ${describeValue(getValue(config, key))}: ${message}`;
  const warnings: string[] = [];
  for (const [key, schema] of FIELDS) {
    const reason = schema.noEffect ?? unread(key, config);
    if (reason && isChanged(key)) warnings.push(warn(key, `has no effect: ${reason}`));
  }
  for (const { key, applies, message } of [...CHANGED.filter(({ key }) => isChanged(key)), ...ALWAYS]) {
    if (applies(config)) warnings.push(warn(key, message(config)));
  }
  return warnings;
}
