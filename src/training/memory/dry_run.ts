/** @file The tensors of a run at its fullest moments, from a training step and an evaluation that compute nothing. */
import type { Config } from '../../config/index.js';
import type { Batch } from '../../data/loading/collate.js';
import { type MemoryCounter, MemoryLimitError, type MemoryMoment } from '../../engine/dry_run/counter.js';
import { blankTensor, dryRun } from '../../engine/dry_run/dry_run.js';
import { machineMemory } from '../../engine/memory.js';
import { detectBatch } from '../../evaluation/detect_clips.js';
import { sizeOf } from '../../formats/host_tensor.js';
import { SetCriterion } from '../../loss/criterion.js';
import type { Size } from '../../media/image_header.js';
import { Detector } from '../../model/detector.js';
import { makeOptimizer, type Optimizer } from '../../solver/index.js';
import { stepRng, trainStep } from '../step.js';

/** Everything beside the configuration that determines a run's tensors. */
export interface DryRunOptions {
  /** Names of the parameters that are not trained. */
  readonly frozen: readonly string[];
  /** The largest clip of a training batch after resizing and padding, in pixels. */
  readonly clip: Size;
  /** The largest clip of an evaluation; null if the run does not evaluate. */
  readonly testClip: Size | null;
  /** Number of processes that share the clips of a batch. */
  readonly processes: number;
}

/** The configuration with the clips that one of several processes computes at a time. */
export function shareOfProcess(cfg: Config, processes: number): Config {
  const share = (clips: number) => ({ VIDEOS_PER_BATCH: Math.ceil(clips / processes) });
  const { SOLVER, TEST } = cfg;
  return {
    ...cfg,
    SOLVER: { ...SOLVER, ...share(SOLVER.VIDEOS_PER_BATCH) },
    TEST: { ...TEST, ...share(TEST.VIDEOS_PER_BATCH) },
  };
}

/** Bytes of tensors at one moment. */
export interface TensorBytes {
  readonly weights: number;
  /** The optimizer's moments. */
  readonly optimizer: number;
  /** Tensors with the shape of a trained parameter: its gradient, or a sum of gradients. */
  readonly gradients: number;
  /** Results that later operations read, most of them in the backward pass. */
  readonly activations: number;
  /** Results and temporaries of the graph that runs at that moment. */
  readonly working: number;
}

/** The fullest moments of a run. */
export interface RunTensors {
  readonly training: TensorBytes;
  readonly evaluation: TensorBytes | null;
}

/** A clip that every model takes: the stride of the coarsest map. */
const SMALLEST: Size = { height: 32, width: 32 };

/** Multiple of the machine's memory at which a dry run stops. */
const BEYOND = 16;

/** Records a step and an evaluation of the configured model, and plans them as the current engine does. */
export function runTensors(whole: Config, options: DryRunOptions): Promise<RunTensors> {
  const { frozen, clip, testClip, processes } = options;
  const cfg = shareOfProcess(whole, processes);
  // A model far beyond the machine need not be followed to its end: its estimate is then a lower bound.
  const limits = { maxBytes: BEYOND * machineMemory().totalBytes };
  return dryRun(async (counter) => {
    const model = new Detector(cfg);
    for (const [name, parameter] of model.namedParameters()) parameter.requiresGrad = !frozen.includes(name);
    const optimizer = makeOptimizer(cfg, model);
    try {
      for (const parameter of model.parameters()) parameter.setTensor(blankTensor(parameter.shape));
      return await follow({ model, optimizer, counter, cfg, clip, testClip });
    } finally {
      model.dispose();
      optimizer.dispose();
    }
  }, limits);
}

interface Job extends Pick<DryRunOptions, 'clip' | 'testClip'> {
  readonly cfg: Config;
  readonly model: Detector;
  readonly optimizer: Optimizer;
  readonly counter: MemoryCounter;
}

async function follow({ model, optimizer, counter, cfg, clip, testClip }: Job): Promise<RunTensors> {
  const weights = counter.now.bytes;
  const step = async (clips: number, size: Size) => {
    const state = { model, optimizer, criterion: new SetCriterion(cfg.MODEL.STM) };
    const { VIDEOS_PER_BATCH: microBatchSize, CLIP_GRAD_NORM: clipGradNorm } = cfg.SOLVER;
    const options = { rng: stepRng(0, 0), microBatchSize, clipGradNorm, replay: false };
    await trainStep(state, blankBatch(cfg, clips, size), options);
  };
  // The first step makes the optimizer's state, which exists during every other step.
  await untilFull(() => step(1, SMALLEST));
  const trained = new Set(
    optimizer.paramGroups.flatMap(({ params }) => params.map(({ parameter }) => `${parameter.shape}`)),
  );
  const atRest = counter.now;
  /** Bytes at the fullest moment of `work`, by what they are for. */
  const during = async (work: () => Promise<unknown>): Promise<TensorBytes> => {
    counter.forget();
    await untilFull(work);
    const { fullest } = counter;
    const { working, bytes } = fullest;
    const gradients = bytesOfShapes(fullest, trained) - bytesOfShapes(atRest, trained);
    const activations = bytes - working - gradients - atRest.bytes;
    return { weights, optimizer: atRest.bytes - weights, gradients, activations, working };
  };
  // The second micro-batch adds to the gradients of the first; all others are like it.
  const clips = cfg.SOLVER.VIDEOS_PER_BATCH * Math.min(2, cfg.SOLVER.ACCUMULATE);
  const training = await during(() => step(clips, clip));
  const evaluation = testClip && (await during(() => evaluate(model, cfg, testClip)));
  return { training, evaluation };
}

/** Does `work`, or as much of it as the dry run follows. */
async function untilFull(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof MemoryLimitError)) throw error;
  }
}

function bytesOfShapes({ tensors }: MemoryMoment, shapes: ReadonlySet<string>): number {
  return tensors.reduce((sum, { shape, bytes }) => (shapes.has(`${shape}`) ? sum + bytes : sum), 0);
}

async function evaluate(model: Detector, cfg: Config, clip: Size): Promise<void> {
  const batch = blankBatch(cfg, cfg.TEST.VIDEOS_PER_BATCH, clip);
  const { PERSON_THRESHOLD: personThreshold } = cfg.MODEL.STM;
  await detectBatch(model.train(false), batch, { personThreshold, mirrored: false, replay: false });
}

/** Clips of one person each, without content. */
function blankBatch({ DATA, MODEL }: Config, clips: number, { height, width }: Size): Batch {
  const shape = [clips, DATA.NUM_FRAMES, height, width, 3] as const;
  const each = <T>(value: T) => Array.from({ length: clips }, () => value);
  return {
    video: new Float32Array(sizeOf(shape)),
    shape,
    whwh: Float32Array.from(each([width, height, width, height]).flat()),
    boxes: each(Float32Array.of(0, 0, width / 2, height / 2)),
    labels: each(new Float32Array(MODEL.STM.ACTION_CLASSES)),
    clips: each({ clipId: 0, videoIndex: 0, videoName: 'blank', second: 0 }),
  };
}
