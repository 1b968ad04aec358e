/**
 * @file Which tensors of a step are in memory together, counted from the configuration alone: what each function of nn/
 * and model/ keeps for its backward pass, and what it needs while it runs.
 *
 * Letters: B clips, N tokens of all clips, n of one, C features of a token; D channels and M positions of the pyramid,
 * Q queries, G groups, P and T spatial and temporal points, O = P times OUT_MULTIPLIER. All results are bytes.
 */
import type { Config } from '../../config/index.js';
import { NECK_LEVELS } from '../../model/neck.js';

const FLOAT = 4;

/** The batch that a step computes on: clips and their size after padding, in pixels. */
export interface BatchSize {
  clips: number;
  height: number;
  width: number;
}

/** What one part of the network keeps from its forward to its backward pass, and needs besides during the latter. */
export interface PartMemory {
  kept: number;
  working: number;
}

/** Parts in the order of the forward pass. */
export interface StepMemory {
  /** The clip's pixels, cut into tubelets, and their embedding; then one entry for each block. */
  embedding: PartMemory;
  blocks: PartMemory[];
  /** From the finest level to the coarsest. */
  levels: PartMemory[];
  /** The maps as one table of rows. */
  table: PartMemory;
  stages: PartMemory[];
}

/** Sizes that the parts share. */
export function stepMemory(cfg: Config, batch: BatchSize): StepMemory {
  const { ViT, DATA, MODEL } = cfg;
  const time = DATA.NUM_FRAMES / ViT.TUBELET_SIZE;
  const perClip = (time * batch.height * batch.width) / ViT.PATCH_SIZE ** 2;
  const tokens = batch.clips * perClip;
  const features = FLOAT * tokens * ViT.EMBED_DIM;
  const maps = NECK_LEVELS.map(({ scale }) => FLOAT * tokens * scale ** 2 * MODEL.STM.HIDDEN_DIM);
  const table = maps.reduce((sum, bytes) => sum + bytes);
  return {
    embedding: {
      // Tubelets, the patches with and without positions; the last normalisation's input and result.
      kept: pixelBytes(cfg, batch) + 4 * features,
      working: 2 * features,
    },
    blocks: Array.from({ length: ViT.DEPTH }, (_, i) => blockMemory(cfg, batch.clips, perClip, i)),
    levels: NECK_LEVELS.map(({ scale }, l) => levelMemory(cfg, tokens, scale, features, maps[l])),
    // Its parts, joined; in the backward pass one gradient more for each stage, added to their sum.
    table: { kept: 2 * table, working: 3 * table },
    stages: Array.from({ length: MODEL.STM.NUM_STAGES }, () => stageMemory(cfg, batch.clips, time)),
  };
}

/** A batch's pixels as the model gets them. */
export function pixelBytes({ DATA, ViT }: Config, { clips, height, width }: BatchSize): number {
  return FLOAT * clips * DATA.NUM_FRAMES * height * width * ViT.IN_CHANS;
}

/** One block of the backbone. In units of [N, C]. */
function blockMemory({ ViT }: Config, clips: number, perClip: number, index: number): PartMemory {
  const unit = FLOAT * clips * perClip * ViT.EMBED_DIM;
  const probabilities = FLOAT * clips * ViT.NUM_HEADS * perClip ** 2;
  const ratio = ViT.MLP_RATIO;
  const hasDropPath = ViT.DROP_PATH_RATE > 0 && index > 0;
  const masks = (ViT.DROP_RATE > 0 ? 2 * unit : 0) + (ViT.ATTN_DROP_RATE > 0 ? probabilities : 0);
  // Both norms' inputs and results, the projections (3), attention's result, both branches, the hidden layer twice.
  // A branch that is multiplied with something is kept before and after.
  const factors = Number(hasDropPath) + Number(ViT.DROP_RATE > 0) + Number(ViT.INIT_VALUES > 0);
  const all = (10 + 2 * ratio + 2 * factors) * unit + masks;
  // The gradient of GELU's formula, or that of attention, one head at a time.
  const working = Math.max((1 + 6 * ratio) * unit, 8 * unit + (4 * probabilities) / ViT.NUM_HEADS);
  return ViT.USE_CHECKPOINT ? { kept: unit + masks, working: working + all } : { kept: all, working };
}

/** One level of the pyramid; `features` is [N, C], `map` its result. */
function levelMemory(cfg: Config, tokens: number, scale: number, features: number, map: number): PartMemory {
  const D = cfg.MODEL.STM.HIDDEN_DIM;
  // Of what brings the features to the level's size: every product, its rearrangement, norm and activation.
  const rescaled = { 4: 16, 2: 4, 1: 0, 0.5: 1.75 }[scale] as number;
  // 3×3×3 convolution by Winograd's tiles: weights and a piece of the map, 64 points each, see engine/onnx/kernels/conv.ts.
  const tiles = Math.min(512, (tokens * scale ** 2) / 8);
  const convolution = FLOAT * 64 * D * (4 * D + 3 * tiles);
  return {
    // The results of both convolutions and of the norm between them.
    kept: rescaled * features + 3 * map,
    // Gradients of the map and of what it came from, padded, as tiles and put together again.
    working: 4 * map + convolution,
  };
}

/** One stage of the decoder. */
function stageMemory(cfg: Config, clips: number, time: number): PartMemory {
  const { STM } = cfg.MODEL;
  const { NUM_QUERIES: Q, HIDDEN_DIM: D, N_GROUPS: G, OUT_MULTIPLIER, NUM_HEADS } = STM;
  const rows = clips * Q;
  const [P, T] = [STM.SPATIAL_POINTS, time];
  const samples = rows * P * T * D;
  const generated = (points: number) => rows * G * ((D / G) ** 2 + OUT_MULTIPLIER * points ** 2);
  // The mean of the samples, both products of the mixing and what becomes of each.
  const mixed = (points: number) => rows * D * points * (3 + 2 * OUT_MULTIPLIER);
  // 4 levels × 4 neighbours of every point: its weights and rows, step by step.
  const places = 160 * rows * G * P;
  const layers = rows * (40 * D + 4 * STM.DIM_FEEDFORWARD);
  const scores = 2 * clips * NUM_HEADS * Q ** 2 * (STM.DROPOUT > 0 ? 2 : 1);
  const kept =
    FLOAT * (samples + 2 * (generated(P) + generated(T)) + mixed(P) + mixed(T) + places + layers + scores);
  return { kept, working: kept };
}
