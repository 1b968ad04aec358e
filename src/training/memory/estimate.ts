/** @file How much memory a run will take at its peak, from its configuration, before anything is allocated. */
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import { type BatchSize, pixelBytes, type StepMemory, stepMemory } from './live_tensors.js';

const FLOAT = 4;

/** What the estimate needs to know beside the configuration. */
export interface MemoryFacts {
  /** The model's parameters by name, with their number of elements. */
  parameters: Iterable<readonly [name: string, parameter: { size: number; requiresGrad: boolean }]>;
  /** The largest clip after resizing and padding, in pixels; in training, and in evaluation if there will be one. */
  clip: { height: number; width: number };
  testClip: { height: number; width: number } | null;
  /** Whether a checkpoint is written while training goes on, from a copy of weights and moments. */
  savesBesideTraining: boolean;
  /** Of the process before the model is there: program, libraries, the engine. */
  processBytes: number;
}

/** Bytes at the moment when most is in use; the parts add up to `peak`. */
export interface MemoryEstimate {
  weights: number;
  /** The optimizer's moments. */
  optimizer: number;
  /** Of the peak's moment, when some layers have theirs already. */
  gradients: number;
  /** What the forward pass keeps for the backward pass. */
  activations: number;
  /** Intermediate results of the operation that is running. */
  working: number;
  /** Clips that are loaded or being loaded, and the threads that do it. */
  data: number;
  /** The copy that a checkpoint is written from. */
  checkpoint: number;
  /** Gaps between tensors, which the engine's allocator cannot use. */
  gaps: number;
  /** Program, libraries and compiled graphs. */
  process: number;
  peak: number;
  /** What has the most in use: the training step or evaluation. */
  during: 'training' | 'evaluation';
}

/** Tensors in use at one moment. */
type Moment = Pick<MemoryEstimate, 'weights' | 'optimizer' | 'gradients' | 'activations' | 'working'>;

/**
 * Share that ONNX Runtime's arena adds to the tensors in it. It hands out a free block whole unless half of it or more is left
 * over, and blocks of a step do not fit without gaps where those of the last one were. Measured.
 */
const ARENA_GAPS = 0.2;
/** What JavaScript and compiled graphs take beyond the start, measured; and a thread that loads clips. */
const GROWTH_BYTES = 90e6;
const THREAD_BYTES = 20e6;
/** Elements that the optimizer updates together, see solver/optimizer.ts. */
const UPDATED_TOGETHER = 2 ** 24;

/** The peak of a run on the `onnx` engine. Pure: allocates nothing and asks nothing of the machine. */
export function estimateMemory(cfg: Config, facts: MemoryFacts): MemoryEstimate {
  const trainBatch = { clips: cfg.SOLVER.VIDEOS_PER_BATCH, ...facts.clip };
  const sizes = parameterBytes(facts.parameters);
  const trainData = dataBytes(cfg, { ...trainBatch, clips: clipsPerStep(cfg) });
  const moments: { moment: Moment; data: number; during: MemoryEstimate['during'] }[] = [
    {
      moment: trainingPeak(cfg, trainBatch, sizes),
      data: trainData,
      during: 'training',
    },
  ];
  if (facts.testClip) {
    const batch = { clips: cfg.TEST.VIDEOS_PER_BATCH, ...facts.testClip };
    const data = trainData + dataBytes(cfg, batch);
    moments.push({ moment: evaluationPeak(cfg, batch, sizes), data, during: 'evaluation' });
  }
  const estimates = moments.map(({ moment, data, during }): MemoryEstimate => {
    const tensors = total(moment);
    const rest = {
      data,
      checkpoint: during === 'training' && facts.savesBesideTraining ? moment.weights + moment.optimizer : 0,
      gaps: ARENA_GAPS * tensors,
      process: facts.processBytes + GROWTH_BYTES,
    };
    return { ...moment, ...rest, peak: tensors + total(rest), during };
  });
  return estimates.reduce((most, one) => (one.peak > most.peak ? one : most));
}

function total(parts: Record<string, number>): number {
  return Object.values(parts).reduce((sum, bytes) => sum + bytes);
}

/** Bytes of all weights, and of those of each part that get a gradient. */
interface ParameterBytes {
  weights: number;
  trained: number;
  backbone: number;
  neck: number;
  decoder: number;
}

function parameterBytes(parameters: MemoryFacts['parameters']): ParameterBytes {
  const bytes: ParameterBytes = { weights: 0, trained: 0, backbone: 0, neck: 0, decoder: 0 };
  for (const [name, { size, requiresGrad }] of parameters) {
    bytes.weights += FLOAT * size;
    if (!requiresGrad) continue;
    const part = name.startsWith('backbone.')
      ? 'backbone'
      : name.startsWith('stm_head.')
        ? 'decoder'
        : 'neck';
    bytes[part] += FLOAT * size;
    bytes.trained += FLOAT * size;
  }
  return bytes;
}

/** Tensors of the optimizer for each trained weight. */
function momentsOf({ SOLVER }: Config): number {
  if (SOLVER.OPTIMIZING_METHOD.toLowerCase() !== 'sgd') return 2;
  return SOLVER.MOMENTUM === 0 ? 0 : 1;
}

const keptBy = (parts: readonly { kept: number }[]) => parts.reduce((sum, { kept }) => sum + kept, 0);

/** The fullest moment of a training step: the backward pass of some part, or the optimizer's update. */
function trainingPeak(cfg: Config, batch: BatchSize, bytes: ParameterBytes): Moment {
  const step = stepMemory(cfg, batch);
  const count = momentsOf(cfg);
  const moment = (gradients: number, activations: number, working: number): Moment => ({
    weights: bytes.weights,
    optimizer: count * bytes.trained,
    // Beside those of the part that is being computed, the sum of the parts before.
    gradients: gradients + (cfg.SOLVER.ACCUMULATE > 1 ? bytes.trained : 0),
    activations,
    working,
  });
  const updated = Math.min(bytes.trained, FLOAT * UPDATED_TOGETHER);
  const moments = [moment(bytes.trained, 0, (1 + count) * updated)];
  const { embedding, blocks, levels, table, stages } = step;
  const backbone = embedding.kept + keptBy(blocks);
  // In the order of the forward pass; the backward pass has passed what comes after.
  for (const [i, { working }] of stages.entries()) {
    const done = (bytes.decoder * (stages.length - 1 - i)) / stages.length;
    const kept = backbone + keptBy(levels) + table.kept + keptBy(stages.slice(0, i + 1));
    moments.push(moment(done, kept, table.working + working));
  }
  for (const [i, { working }] of levels.entries()) {
    const kept = backbone + keptBy(levels.slice(0, i + 1));
    moments.push(moment(bytes.decoder + bytes.neck, kept, working));
  }
  for (const [i, { working }] of blocks.entries()) {
    const done = bytes.decoder + bytes.neck + (bytes.backbone * (blocks.length - 1 - i)) / blocks.length;
    moments.push(moment(done, embedding.kept + keptBy(blocks.slice(0, i + 1)), working));
  }
  return fullest(moments);
}

/** The fullest moment of evaluation, where nothing is kept but what the next part needs. */
function evaluationPeak(cfg: Config, batch: BatchSize, bytes: ParameterBytes): Moment {
  const { embedding, blocks, levels, table, stages }: StepMemory = stepMemory(cfg, batch);
  const rest = { weights: bytes.weights, optimizer: momentsOf(cfg) * bytes.trained, gradients: 0 };
  const working = [
    embedding.kept,
    ...blocks.map((block) => block.working),
    ...levels.map((level) => level.kept + level.working + table.kept / 2),
    ...stages.map((stage) => table.kept + stage.kept),
  ];
  return { ...rest, activations: 0, working: Math.max(...working) };
}

function fullest(moments: readonly Moment[]): Moment {
  return moments.reduce((most, one) => (total(one) > total(most) ? one : most));
}

/** Two batches in the memory that threads fill in turn, and the 8-bit frames of those that come next. */
function dataBytes(cfg: Config, batch: BatchSize): number {
  const { NUM_WORKERS } = cfg.DATALOADER;
  const pixels = pixelBytes(cfg, batch);
  const ahead = Math.max(2, (2 * NUM_WORKERS) / batch.clips);
  return (NUM_WORKERS > 0 ? 2 : 1) * pixels + (ahead * pixels) / FLOAT + NUM_WORKERS * THREAD_BYTES;
}
