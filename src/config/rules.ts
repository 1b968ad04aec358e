/** @file Rules across keys that a configuration must satisfy to run. Ranges of single keys are in the schema. */
import { nearestClause } from './messages.js';
import { BACKBONES, type Config, DATASET_NAMES } from './schema/index.js';

export interface Rule {
  /** The keys involved. The first one names the problem. The rule is checked only if all of them are valid. */
  keys: string[];
  /** Other keys that must be valid for the rule to be checked. */
  needs?: string[];
  /**
   * Text of the error if nobody has set the first key, for a rule that its default breaks. Other rules are not reported then:
   * defaults that contradict each other are not the user's mistake.
   */
  required?: (config: Config) => string;
  holds(config: Config): boolean;
  /** Text of the error: what is expected, and why. */
  expected(config: Config): string;
}

const isViT = (config: Config) => (BACKBONES as readonly string[]).includes(config.MODEL.BACKBONE.CONV_BODY);
const timeSteps = (config: Config) => config.DATA.NUM_FRAMES / config.ViT.TUBELET_SIZE;
const divides = (divisor: number, value: number) => value % divisor === 0;
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
/** Least common multiple. */
const lcm = (a: number, b: number) => (a / gcd(a, b)) * b;
/** Divisor of ViT.EMBED_DIM that all rules together require. */
const embedStep = ({ ViT }: Config) => lcm(4, ViT.NUM_HEADS);
/** Divisor of MODEL.STM.HIDDEN_DIM that all rules together require. */
const hiddenStep = ({ MODEL: { STM } }: Config) => lcm(lcm(8, STM.NUM_HEADS), STM.N_GROUPS);
const multiples = (step: number, value: number) => {
  const below = Math.floor(value / step) * step;
  return below > 0 ? `${below} or ${below + step}` : `${step}`;
};

const nearest = (name: string) => {
  const clause = nearestClause(name, DATASET_NAMES);
  return clause === '' ? '' : ` (${clause})`;
};

const BODY = 'MODEL.BACKBONE.CONV_BODY';
const HIDDEN_NEEDS = ['MODEL.STM.NUM_HEADS', 'MODEL.STM.N_GROUPS'];

/** A rule for ViT backbones only. */
const vit = (rule: Rule): Rule => ({
  ...rule,
  needs: [...(rule.needs ?? []), BODY],
  holds: (config) => !isViT(config) || rule.holds(config),
});

/** The number of time steps that the decoder must have, if the configuration does not set it; null without a ViT. */
export function derivedTimeSteps(config: Config): number | null {
  return isViT(config) && Number.isInteger(timeSteps(config)) ? timeSteps(config) : null;
}

export const RULES: readonly Rule[] = [
  {
    keys: [BODY],
    required: ({ MODEL }) =>
      `must be set to ${BACKBONES.join(' or ')}: its default, ${MODEL.BACKBONE.CONV_BODY}, cannot be built yet`,
    holds: isViT,
    expected: () => `expected ${BACKBONES.join(' or ')}, the only backbones that can be built so far`,
  },
  {
    keys: ['MODEL.BACKBONE.PATHWAYS', BODY],
    holds: (config) => config.MODEL.BACKBONE.PATHWAYS === 1 || !isViT(config),
    expected: () => 'expected 1: a ViT has one pathway',
  },
  vit({
    keys: ['ViT.EMBED_DIM', 'ViT.NUM_HEADS'],
    holds: ({ ViT }) => divides(ViT.NUM_HEADS, ViT.EMBED_DIM),
    expected: (config) =>
      `expected a multiple of ViT.NUM_HEADS (every head gets an equal part), e.g. ${multiples(embedStep(config), config.ViT.EMBED_DIM)}`,
  }),
  vit({
    keys: ['ViT.EMBED_DIM'],
    needs: ['ViT.NUM_HEADS'],
    holds: ({ ViT }) => divides(4, ViT.EMBED_DIM),
    expected: (config) =>
      `expected a multiple of 4 (the finest feature map has a quarter of the channels), e.g. ${multiples(embedStep(config), config.ViT.EMBED_DIM)}`,
  }),
  vit({
    keys: ['ViT.PATCH_SIZE'],
    holds: ({ ViT }) => ViT.PATCH_SIZE === 16,
    expected: () => 'expected 16 (the feature maps have strides 4, 8, 16 and 32, made from one of stride 16)',
  }),
  vit({
    keys: ['ViT.IN_CHANS'],
    holds: ({ ViT }) => ViT.IN_CHANS === 3,
    expected: () => 'expected 3, the number of colour channels of the frames',
  }),
  vit({
    keys: ['ViT.PRETRAIN_IMG_SIZE', 'ViT.PATCH_SIZE'],
    holds: ({ ViT }) => divides(ViT.PATCH_SIZE, ViT.PRETRAIN_IMG_SIZE),
    expected: ({ ViT }) =>
      `expected a multiple of ViT.PATCH_SIZE, e.g. ${multiples(ViT.PATCH_SIZE, ViT.PRETRAIN_IMG_SIZE)}`,
  }),
  vit({
    keys: ['DATA.NUM_FRAMES', 'ViT.TUBELET_SIZE'],
    holds: (config) => Number.isInteger(timeSteps(config)),
    expected: ({ ViT }) =>
      `expected a multiple of ${2 * ViT.TUBELET_SIZE}, so that there is an even number of time steps, each of ViT.TUBELET_SIZE ${ViT.TUBELET_SIZE} frames`,
  }),
  vit({
    keys: ['DATA.NUM_FRAMES', 'ViT.TUBELET_SIZE'],
    holds: (config) => !Number.isInteger(timeSteps(config)) || divides(2, timeSteps(config)),
    expected: ({ ViT }) =>
      `expected an even number of time steps (NUM_FRAMES / TUBELET_SIZE), so a multiple of ${2 * ViT.TUBELET_SIZE} frames`,
  }),
  vit({
    keys: ['MODEL.STM.TEMPORAL_POINTS', 'DATA.NUM_FRAMES', 'ViT.TUBELET_SIZE'],
    holds: (config) =>
      !Number.isInteger(timeSteps(config)) || config.MODEL.STM.TEMPORAL_POINTS === timeSteps(config),
    expected: (config) =>
      `expected ${timeSteps(config)}, the number of time steps (NUM_FRAMES / TUBELET_SIZE)`,
  }),
  {
    keys: ['MODEL.STM.HIDDEN_DIM', 'MODEL.STM.NUM_HEADS'],
    needs: HIDDEN_NEEDS,
    holds: ({ MODEL: { STM } }) => divides(STM.NUM_HEADS, STM.HIDDEN_DIM),
    expected: (config) =>
      `expected a multiple of MODEL.STM.NUM_HEADS (every head gets an equal part), e.g. ${multiples(hiddenStep(config), config.MODEL.STM.HIDDEN_DIM)}`,
  },
  {
    keys: ['MODEL.STM.HIDDEN_DIM', 'MODEL.STM.N_GROUPS'],
    needs: HIDDEN_NEEDS,
    holds: ({ MODEL: { STM } }) => divides(STM.N_GROUPS, STM.HIDDEN_DIM),
    expected: (config) =>
      `expected a multiple of MODEL.STM.N_GROUPS (every group gets an equal part), e.g. ${multiples(hiddenStep(config), config.MODEL.STM.HIDDEN_DIM)}`,
  },
  {
    keys: ['MODEL.STM.HIDDEN_DIM'],
    needs: HIDDEN_NEEDS,
    holds: ({ MODEL: { STM } }) => divides(8, STM.HIDDEN_DIM),
    expected: (config) =>
      `expected a multiple of 8 (a sine and a cosine for each of the 4 box coordinates), e.g. ${multiples(hiddenStep(config), config.MODEL.STM.HIDDEN_DIM)}`,
  },
  {
    keys: ['MODEL.STM.MEM_ACTIVE'],
    holds: ({ MODEL: { STM } }) => !STM.MEM_ACTIVE,
    expected: () =>
      'expected False: long-term memory is not supported (the official STMixer does not have it either)',
  },
  {
    keys: ['DATALOADER.SIZE_DIVISIBILITY'],
    holds: ({ DATALOADER }) => DATALOADER.SIZE_DIVISIBILITY > 0 && divides(32, DATALOADER.SIZE_DIVISIBILITY),
    expected: () => 'expected a multiple of 32, the stride of the coarsest feature map',
  },
  {
    keys: ['DATA.DATASETS'],
    holds: ({ DATA }) => DATASET_NAMES.includes(DATA.DATASETS[0]),
    expected: ({ DATA }) =>
      DATA.DATASETS[0] === 'ava_kinetics'
        ? `AVA-Kinetics cannot be read yet; expected ['${DATASET_NAMES[0]}']`
        : `expected one of ${DATASET_NAMES.join(', ')}${nearest(DATA.DATASETS[0])}; ` +
          'use one of these names for your own data in AVA layout too; its files are set under AVA',
  },
  {
    keys: ['AVA.LAST_SECOND', 'AVA.FIRST_SECOND'],
    holds: ({ AVA }) => AVA.LAST_SECOND >= AVA.FIRST_SECOND,
    expected: ({ AVA }) =>
      `expected ${AVA.FIRST_SECOND} or more (AVA.FIRST_SECOND), because key frames cannot lie before the first frame`,
  },
  {
    keys: ['SOLVER.STEPS'],
    holds: ({ SOLVER: { STEPS } }) => STEPS.every((step, i) => i === 0 || STEPS[i - 1] <= step),
    expected: ({ SOLVER: { STEPS } }) =>
      `expected epochs in ascending order, e.g. (${STEPS.toSorted((a, b) => a - b).join(', ')})`,
  },
  {
    keys: ['SOLVER.NESTEROV', 'SOLVER.OPTIMIZING_METHOD', 'SOLVER.MOMENTUM', 'SOLVER.DAMPENING'],
    holds: ({ SOLVER }) =>
      !SOLVER.NESTEROV ||
      SOLVER.OPTIMIZING_METHOD !== 'sgd' ||
      (SOLVER.MOMENTUM > 0 && SOLVER.DAMPENING === 0),
    expected: () => 'Nesterov momentum needs SOLVER.MOMENTUM > 0 and SOLVER.DAMPENING 0',
  },
];
