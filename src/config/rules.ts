/** @file Rules across keys that a configuration must satisfy to run. Ranges of single keys are in the schema. */
import { BACKBONE_RULES } from './backbone_rules.js';
import { nearestClause } from './messages.js';
import { divides, lcm, multiples, type Rule } from './rule.js';
import { type Config, DATASET_NAMES } from './schema/index.js';

/** Divisor of MODEL.STM.HIDDEN_DIM that all rules together require. */
const hiddenStep = ({ MODEL: { STM } }: Config) => lcm(lcm(8, STM.NUM_HEADS), STM.N_GROUPS);
const nearest = (name: string) => {
  const clause = nearestClause(name, DATASET_NAMES);
  return clause === '' ? '' : ` (${clause})`;
};

const HIDDEN_NEEDS = ['MODEL.STM.NUM_HEADS', 'MODEL.STM.N_GROUPS'];

export const RULES: readonly Rule[] = [
  ...BACKBONE_RULES,
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
