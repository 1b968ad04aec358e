/** @file What `npm run bench:compare` compares: models, sizes of their input, and numbers of steps. */

/**
 * Steps of a process before the timed ones. In the first two, both programs touch memory for the first time; the fourth step of
 * ours is the first that is replayed.
 */
export const WARMUP = { ours: 3, pytorch: 2 };

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly config: string;
  readonly overrides: readonly string[];
  /** Clips, their size in pixels, and boxes per clip. */
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly boxes: number;
  /** Whether only the forward pass runs, in evaluation mode. */
  readonly forward: boolean;
  /** Timed steps of one process. */
  readonly iters: number;
  /** How many times each program runs, unless --rounds says otherwise. */
  readonly rounds: number;
}

const FULL = {
  config: 'config_files/my_VMAEv2-ViTB-16x4.yaml',
  overrides: ['ViT.USE_CHECKPOINT', 'False'],
  ...{ batch: 1, height: 256, width: 352, boxes: 2 },
};

const SMALL_MODEL = [
  ...['ViT.USE_CHECKPOINT', 'False', 'ViT.EMBED_DIM', '192', 'ViT.DEPTH', '4', 'ViT.NUM_HEADS', '3'],
  ...['MODEL.STM.HIDDEN_DIM', '128', 'MODEL.STM.NUM_STAGES', '3', 'MODEL.STM.NUM_QUERIES', '50'],
];

/** A clip for a ResNet backbone, and no initial weights, whose files are not here. */
const RESNET = {
  overrides: ['MODEL.WEIGHT', ''],
  ...{ batch: 1, height: 256, width: 320, boxes: 2 },
  forward: false,
};

/** The numbers of steps keep the whole comparison near ten minutes on two cores with AVX2. */
export const CASES: readonly Case[] = [
  {
    name: 'full',
    title: 'full size: 1 clip of 16×256×352, 2 boxes',
    ...FULL,
    forward: false,
    iters: 1,
    rounds: 1,
  },
  {
    name: 'small',
    title: 'small: 2 clips of 16×128×160, 2 boxes',
    config: FULL.config,
    overrides: SMALL_MODEL,
    ...{ batch: 2, height: 128, width: 160, boxes: 2 },
    forward: false,
    iters: 5,
    rounds: 2,
  },
  {
    name: 'sample',
    // The frames of sample/ are 320×240. Their short side becomes 160 pixels, and the collator pads 214 to 224.
    title: 'sample.yaml: 2 clips of 16×160×224, 6 boxes',
    config: 'config_files/sample.yaml',
    overrides: [],
    ...{ batch: 2, height: 160, width: 224, boxes: 6 },
    forward: false,
    iters: 5,
    rounds: 2,
  },
  {
    name: 'slowonly',
    title: 'SlowOnly-R50: 1 clip of 4×256×320, 2 boxes',
    config: 'config_files/PySlowonly-R50-K400-4x16.yaml',
    ...RESNET,
    iters: 3,
    rounds: 2,
  },
  {
    name: 'slowfast',
    title: 'SlowFast-R50: 1 clip of 32×256×320, 2 boxes',
    config: 'config_files/PySlowfast-R50-K400-8x8.yaml',
    ...RESNET,
    iters: 3,
    rounds: 1,
  },
  {
    name: 'forward',
    title: 'full size, forward only',
    ...FULL,
    forward: true,
    iters: 2,
    rounds: 1,
  },
];
