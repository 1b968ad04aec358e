/** @file Settings that are accepted and yet do not do what a reader of the file would think. */
import { describeValue, formatOrigin, type Origin } from './messages.js';
import { type Config, defaultConfig, FIELDS, getValue } from './schema/index.js';

interface Advice {
  /** The key that misleads; nothing is said where it has its default value and was not set. */
  key: string;
  applies(config: Config): boolean;
  says(config: Config): string;
}

const sgdOnly = (key: string): Advice => ({
  key,
  applies: ({ SOLVER }) => SOLVER.OPTIMIZING_METHOD !== 'sgd',
  says: ({ SOLVER }) =>
    `has no effect with SOLVER.OPTIMIZING_METHOD ${SOLVER.OPTIMIZING_METHOD}, only with sgd`,
});

const multiStepOnly = (key: string): Advice => ({
  key,
  applies: ({ SOLVER }) => SOLVER.SCHEDULER !== 'warmup_multi_step',
  says: ({ SOLVER }) => `has no effect with SOLVER.SCHEDULER ${SOLVER.SCHEDULER}`,
});

const warmupOnly = (key: string): Advice => ({
  key,
  applies: ({ SOLVER }) => !SOLVER.WARMUP_ON,
  says: () => 'has no effect while SOLVER.WARMUP_ON is False',
});

/** Said only where the key has another value than the default. */
const CHANGED: readonly Advice[] = [
  sgdOnly('SOLVER.MOMENTUM'),
  sgdOnly('SOLVER.DAMPENING'),
  sgdOnly('SOLVER.NESTEROV'),
  {
    key: 'SOLVER.BETAS',
    applies: ({ SOLVER }) => SOLVER.OPTIMIZING_METHOD === 'sgd',
    says: () => 'has no effect with SOLVER.OPTIMIZING_METHOD sgd',
  },
  multiStepOnly('SOLVER.STEPS'),
  multiStepOnly('SOLVER.GAMMA'),
  warmupOnly('SOLVER.WARMUP_FACTOR'),
  warmupOnly('SOLVER.WARMUP_EPOCH'),
  warmupOnly('SOLVER.WARMUP_METHOD'),
  {
    key: 'SOLVER.NONFINITE_LIMIT',
    applies: ({ SOLVER }) => SOLVER.ON_NONFINITE === 'stop',
    says: () => 'has no effect with SOLVER.ON_NONFINITE stop',
  },
  {
    key: 'AVA.TRAIN_PCA_JITTER_ONLY',
    applies: ({ AVA }) => !AVA.TRAIN_USE_COLOR_AUGMENTATION,
    says: () => 'has no effect while AVA.TRAIN_USE_COLOR_AUGMENTATION is False',
  },
  {
    key: 'SOLVER.APPLY_LR_SCALE',
    applies: ({ ViT }) => ViT.LAYER_DECAY >= 1,
    says: () => 'has no effect without layer decay (ViT.LAYER_DECAY below 1)',
  },
];

/** Said whatever the value is. */
const ALWAYS: readonly Advice[] = [
  {
    key: 'MODEL.BACKBONE.CONV_BODY',
    applies: ({ MODEL, ViT }) => MODEL.BACKBONE.CONV_BODY === 'MAE-ViT-L' && ViT.EMBED_DIM === 768,
    says: () =>
      'the name does not set the sizes, which are those of ViT-B; ViT-L has ViT.EMBED_DIM 1024, DEPTH 24, NUM_HEADS 16',
  },
  {
    key: 'DATA.DATASETS',
    applies: ({ DATA }) => DATA.DATASETS.length > 1,
    says: ({ DATA }) => `only the first one, ${DATA.DATASETS[0]}, is used`,
  },
  {
    key: 'DATA.TEST_MIN_SCALES',
    applies: ({ DATA }) => DATA.TEST_MIN_SCALES.length > 1,
    says: () => 'one of several sizes is picked at random for each clip, so evaluations will differ',
  },
  {
    key: 'MODEL.STM.OBJECT_CLASSES',
    applies: ({ MODEL }) => MODEL.STM.OBJECT_CLASSES > 1,
    says: () => 'the data has boxes of persons only; further object classes never occur in training',
  },
  {
    key: 'ViT.LAYER_DECAY',
    applies: ({ ViT }) => ViT.LAYER_DECAY > 1,
    says: () => 'acts like 1 (no layer decay); a decay is below 1',
  },
  {
    key: 'SOLVER.STEPS',
    applies: ({ SOLVER }) =>
      SOLVER.SCHEDULER === 'warmup_multi_step' && SOLVER.STEPS.some((step) => step >= SOLVER.MAX_EPOCH),
    says: ({ SOLVER }) => `a step is never reached: training ends after SOLVER.MAX_EPOCH ${SOLVER.MAX_EPOCH}`,
  },
  {
    key: 'SOLVER.WARMUP_EPOCH',
    applies: ({ SOLVER }) => SOLVER.WARMUP_ON && SOLVER.WARMUP_EPOCH >= SOLVER.MAX_EPOCH,
    says: ({ SOLVER }) =>
      `training ends before the warm-up does, with SOLVER.MAX_EPOCH ${SOLVER.MAX_EPOCH}; the learning rate never reaches SOLVER.BASE_LR`,
  },
];

/** One sentence for each setting that misleads, in the order of the schema where no effect is to be had at all. */
export function findWarnings(config: Config, origins: ReadonlyMap<string, Origin>): string[] {
  const defaults = defaultConfig();
  const isChanged = (key: string) =>
    JSON.stringify(getValue(config, key)) !== JSON.stringify(getValue(defaults, key));
  const warn = (key: string, message: string) =>
    `${formatOrigin(origins.get(key)!)}: ${key} ${describeValue(getValue(config, key))}: ${message}`;
  const warnings: string[] = [];
  for (const [key, schema] of FIELDS) {
    if (schema.noEffect && isChanged(key)) warnings.push(warn(key, `has no effect: ${schema.noEffect}`));
  }
  for (const advice of CHANGED) {
    if (isChanged(advice.key) && advice.applies(config)) warnings.push(warn(advice.key, advice.says(config)));
  }
  for (const advice of ALWAYS) {
    if (advice.applies(config)) warnings.push(warn(advice.key, advice.says(config)));
  }
  return warnings;
}
