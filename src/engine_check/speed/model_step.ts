/** @file Times whole training steps of a model whose size fits the device. */
import { type Config, configFromOverrides } from '../../config/index.js';
import { SetCriterion } from '../../loss/criterion.js';
import { Detector } from '../../model/detector.js';
import { necessaryFlops } from '../../model/flops.js';
import { initializeParameters } from '../../nn/module.js';
import { makeOptimizer } from '../../solver/index.js';
import { trainStep } from '../../training/step.js';
import { clipsOf } from '../training_step/formula.js';

/** The settings of a model, and the size of its clips. */
interface Model {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly height: number;
  readonly width: number;
}

/** How long the steps of a model took. */
export interface StepTime {
  readonly model: string;
  /** [clips, frames, height, width]. */
  readonly shape: readonly number[];
  readonly parameters: number;
  /** Floating-point operations of the products that a step needs. */
  readonly flops: number;
  /** Seconds of the first step, which compiles. */
  readonly firstSeconds: number;
  /** Seconds of the fastest step after the first. */
  readonly seconds: number;
}

const COMMON = {
  'MODEL.BACKBONE.CONV_BODY': 'MAE-ViT-B',
  'DATA.NUM_FRAMES': 16,
  'MODEL.STM.TEMPORAL_POINTS': 8,
  'ViT.USE_CHECKPOINT': false,
  'ViT.DROP_PATH_RATE': 0,
  'MODEL.STM.ACTION_CLASSES': 80,
  'SOLVER.BASE_LR': 1e-5,
};

/** From the largest to the smallest. */
const MODELS: readonly Model[] = [
  {
    settings: {
      ...COMMON,
      'ViT.EMBED_DIM': 384,
      'ViT.DEPTH': 6,
      'ViT.NUM_HEADS': 6,
      'MODEL.STM.HIDDEN_DIM': 128,
      'MODEL.STM.NUM_STAGES': 3,
      'MODEL.STM.NUM_QUERIES': 100,
    },
    height: 160,
    width: 224,
  },
  {
    settings: {
      ...COMMON,
      'ViT.EMBED_DIM': 192,
      'ViT.DEPTH': 4,
      'ViT.NUM_HEADS': 3,
      'MODEL.STM.HIDDEN_DIM': 64,
      'MODEL.STM.NUM_STAGES': 2,
      'MODEL.STM.NUM_QUERIES': 50,
    },
    height: 96,
    width: 128,
  },
  {
    settings: {
      ...COMMON,
      'DATA.NUM_FRAMES': 4,
      'ViT.EMBED_DIM': 32,
      'ViT.DEPTH': 2,
      'ViT.NUM_HEADS': 2,
      'MODEL.STM.HIDDEN_DIM': 32,
      'MODEL.STM.NUM_STAGES': 2,
      'MODEL.STM.NUM_QUERIES': 10,
      'MODEL.STM.NUM_HEADS': 4,
      'MODEL.STM.DIM_FEEDFORWARD': 64,
      'MODEL.STM.SPATIAL_POINTS': 8,
      'MODEL.STM.TEMPORAL_POINTS': 2,
    },
    height: 32,
    width: 32,
  },
];

/** A model is taken if its step would need less than this at a part of the best rate that most engines reach. */
const MAX_STEP_SECONDS = 1;
const EXPECTED_SHARE = 0.3;
/** The fourth step of a shape is the first that runs from a script, so four steps of seven do. */
const MAX_STEPS = 7;
/** After this time, no further step begins if there were at least two. */
const BUDGET_SECONDS = 8;

/** Trains the largest model whose steps are quick at `rate` floating-point operations per second. */
export async function timeSteps(rate: number): Promise<StepTime> {
  const sized = MODELS.map((model) => {
    const config = configFromOverrides(model.settings);
    return { model, config, flops: necessaryFlops(config, 1, model.height, model.width) };
  });
  const isQuick = ({ flops }: { flops: number }) => flops < EXPECTED_SHARE * rate * MAX_STEP_SECONDS;
  const { model, config, flops } = sized.find(isQuick) ?? sized[sized.length - 1];
  const { parameters, seconds } = await trainedSteps(config, model);
  const [firstSeconds, ...rest] = seconds;
  const { DEPTH, EMBED_DIM } = config.ViT;
  return {
    model: `ViT of ${DEPTH} blocks of ${EMBED_DIM} features, ${config.MODEL.STM.NUM_STAGES} decoder stages`,
    shape: [1, config.DATA.NUM_FRAMES, model.height, model.width],
    parameters,
    flops,
    firstSeconds,
    seconds: Math.min(...rest),
  };
}

/** Trains a few steps. Returns the number of parameters, and the seconds of each step. */
async function trainedSteps(
  config: Config,
  { height, width }: Model,
): Promise<{ parameters: number; seconds: number[] }> {
  const model = new Detector(config);
  const optimizer = makeOptimizer(config, model);
  try {
    initializeParameters(model, 0);
    const state = { model, optimizer, criterion: new SetCriterion(config.MODEL.STM) };
    const parameters = model.parameters();
    const batch = oneClip(config, height, width);
    const seconds: number[] = [];
    const begin = performance.now();
    while (seconds.length < MAX_STEPS) {
      if (seconds.length >= 2 && performance.now() - begin > 1000 * BUDGET_SECONDS) break;
      const start = performance.now();
      await trainStep(state, batch);
      // Engines work asynchronously. Reading a weight, here a small one, waits for the update.
      await parameters[parameters.length - 1].value.data();
      seconds.push((performance.now() - start) / 1000);
    }
    return { parameters: parameters.reduce((sum, { size }) => sum + size, 0), seconds };
  } finally {
    model.dispose();
    optimizer.dispose();
  }
}

/** A clip of noise with two boxes. */
function oneClip({ DATA, MODEL }: Config, height: number, width: number) {
  const labels = Array.from({ length: MODEL.STM.ACTION_CLASSES }, (_, i) => Number(i % 20 === 3));
  const box = (left: number) => [left * width, 0.2 * height, (left + 0.3) * width, 0.8 * height];
  return clipsOf({
    frames: DATA.NUM_FRAMES,
    height,
    width,
    sizes: [[width, height]],
    boxes: [[box(0.1), box(0.5)]],
    labels: [[labels, labels]],
  });
}
