/** @file Rules for the keys of backbones. */
import { nonlocalRules } from './nonlocal_rules.js';
import { BODY, divides, familyOf, lcm, multiples, type Rule, ruleFor } from './rule.js';
import { BACKBONE_NAMES, RESNET_BLOCKS } from './schema/choices.js';
import type { Config } from './schema/index.js';

const vit = (rule: Rule) => ruleFor(['vit'], rule);
const resnet = (rule: Rule) => ruleFor(['slowonly', 'slowfast'], rule);
const slowfast = (rule: Rule) => ruleFor(['slowfast'], rule);

const timeSteps = (config: Config) => config.DATA.NUM_FRAMES / config.ViT.TUBELET_SIZE;
/** Divisor of ViT.EMBED_DIM that all rules together require. */
const embedStep = ({ ViT }: Config) => lcm(4, ViT.NUM_HEADS);

/** The number of time steps of the feature maps; null if the configuration has none. */
export function featureFrames(config: Config): number | null {
  const { DATA, SLOWFAST } = config;
  const family = familyOf(config);
  if (family === null) return null;
  const frames = {
    vit: timeSteps(config),
    slowonly: DATA.NUM_FRAMES,
    slowfast: DATA.NUM_FRAMES / SLOWFAST.ALPHA,
  }[family];
  return Number.isInteger(frames) ? frames : null;
}

/** How the number of time steps follows from other keys. */
const FRAMES_FORMULA = {
  vit: 'NUM_FRAMES / TUBELET_SIZE',
  slowonly: 'NUM_FRAMES',
  slowfast: 'NUM_FRAMES / ALPHA',
};

/** The key beside DATA.NUM_FRAMES that the number of time steps depends on. */
const DIVISORS = { vit: ['ViT.TUBELET_SIZE'], slowonly: [], slowfast: ['SLOWFAST.ALPHA'] };

/** Keys with a value for each stage and pathway. */
const PER_PATHWAY = {
  'RESNET.NUM_BLOCK_TEMP_KERNEL': ({ RESNET }: Config) => RESNET.NUM_BLOCK_TEMP_KERNEL,
  'RESNET.SPATIAL_STRIDES': ({ RESNET }: Config) => RESNET.SPATIAL_STRIDES,
  'RESNET.SPATIAL_DILATIONS': ({ RESNET }: Config) => RESNET.SPATIAL_DILATIONS,
  'NONLOCAL.LOCATION': ({ NONLOCAL }: Config) => NONLOCAL.LOCATION,
  'NONLOCAL.GROUP': ({ NONLOCAL }: Config) => NONLOCAL.GROUP,
};

const pathwaysOf = (config: Config) => (familyOf(config) === 'slowfast' ? 2 : 1);

const resnetRules: readonly Rule[] = [
  resnet({
    keys: ['DATA.INPUT_CHANNEL_NUM', BODY],
    holds: (config) =>
      config.DATA.INPUT_CHANNEL_NUM.length === pathwaysOf(config) &&
      config.DATA.INPUT_CHANNEL_NUM.every((count) => count === 3),
    expected: (config) =>
      `expected [${Array.from({ length: pathwaysOf(config) }, () => 3).join(', ')}], the 3 colour channels of the frames for each pathway`,
  }),
  ...Object.entries(PER_PATHWAY).map(([key, read]) =>
    resnet({
      keys: [key, BODY],
      holds: (config) => read(config).every((stage) => stage.length === pathwaysOf(config)),
      expected: (config) =>
        `expected ${pathwaysOf(config) === 2 ? 'two entries' : 'one entry'} in each of the 4 stages, one for each pathway`,
    }),
  ),
  resnet({
    keys: ['RESNET.NUM_BLOCK_TEMP_KERNEL', 'RESNET.DEPTH'],
    holds: ({ RESNET }) =>
      RESNET.NUM_BLOCK_TEMP_KERNEL.every((stage, i) =>
        stage.every((count) => count <= RESNET_BLOCKS[RESNET.DEPTH][i]),
      ),
    expected: ({ RESNET }) =>
      `expected at most ${RESNET_BLOCKS[RESNET.DEPTH].join(', ')} in the four stages, which are their numbers of blocks`,
  }),
  resnet({
    keys: ['RESNET.SPATIAL_STRIDES'],
    holds: ({ RESNET }) => RESNET.SPATIAL_STRIDES.every((stage) => stage.every((step) => step === stage[0])),
    expected: () => 'expected the same stride for both pathways of a stage, because their maps are joined',
  }),
  ...nonlocalRules(resnet, featureFrames),
];

const slowfastRules: readonly Rule[] = [
  slowfast({
    keys: ['DATA.NUM_FRAMES', 'SLOWFAST.ALPHA'],
    holds: ({ DATA, SLOWFAST }) => divides(SLOWFAST.ALPHA, DATA.NUM_FRAMES),
    expected: ({ DATA, SLOWFAST }) =>
      `expected a multiple of SLOWFAST.ALPHA (each frame of the slow pathway stands for so many of the fast one), e.g. ${multiples(SLOWFAST.ALPHA, DATA.NUM_FRAMES)}`,
  }),
  slowfast({
    keys: ['SLOWFAST.FUSION_KERNEL_SZ'],
    holds: ({ SLOWFAST }) => !divides(2, SLOWFAST.FUSION_KERNEL_SZ),
    expected: () =>
      'expected an odd number, so that the fused features have a frame for each frame of the slow pathway',
  }),
  slowfast({
    keys: ['SLOWFAST.BETA_INV', 'SLOWFAST.FUSION_CONV_CHANNEL_RATIO'],
    holds: ({ SLOWFAST }) => divides(SLOWFAST.FUSION_CONV_CHANNEL_RATIO, SLOWFAST.BETA_INV),
    expected: ({ SLOWFAST }) =>
      `expected a multiple of SLOWFAST.FUSION_CONV_CHANNEL_RATIO, e.g. ${multiples(SLOWFAST.FUSION_CONV_CHANNEL_RATIO, SLOWFAST.BETA_INV)}`,
  }),
  slowfast({
    keys: ['RESNET.WIDTH_PER_GROUP', 'SLOWFAST.BETA_INV'],
    holds: ({ RESNET, SLOWFAST }) => divides(SLOWFAST.BETA_INV, RESNET.WIDTH_PER_GROUP),
    expected: ({ RESNET, SLOWFAST }) =>
      `expected a multiple of SLOWFAST.BETA_INV (the fast pathway has that fraction of the channels), e.g. ${multiples(SLOWFAST.BETA_INV, RESNET.WIDTH_PER_GROUP)}`,
  }),
];

export const BACKBONE_RULES: readonly Rule[] = [
  {
    keys: [BODY],
    required: ({ MODEL }) =>
      `must be set to ${BACKBONE_NAMES.join(' or ')}: its default, ${MODEL.BACKBONE.CONV_BODY}, cannot be built`,
    holds: (config) => familyOf(config) !== null,
    expected: () =>
      `expected ${BACKBONE_NAMES.join(' or ')}; the official code lists the other names, but cannot build them either`,
  },
  {
    keys: ['MODEL.BACKBONE.PATHWAYS', BODY],
    holds: (config) => config.MODEL.BACKBONE.PATHWAYS === pathwaysOf(config) || familyOf(config) === null,
    expected: (config) =>
      `expected ${pathwaysOf(config)}: ${config.MODEL.BACKBONE.CONV_BODY} has ${pathwaysOf(config) === 1 ? 'one pathway' : 'two pathways'}`,
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
  ...resnetRules,
  ...slowfastRules,
  ...(['vit', 'slowonly', 'slowfast'] as const).map((family) =>
    ruleFor([family], {
      keys: ['MODEL.STM.TEMPORAL_POINTS', 'DATA.NUM_FRAMES', ...DIVISORS[family]],
      holds: (config) => [null, config.MODEL.STM.TEMPORAL_POINTS].includes(featureFrames(config)),
      expected: (config) =>
        `expected ${featureFrames(config)}, the number of time steps (${FRAMES_FORMULA[family]})`,
    }),
  ),
];
