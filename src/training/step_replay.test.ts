/** @file Steps that run from captured scripts: the same bits as recorded steps, and nothing is recorded or left behind. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { isRecording } from '../../test/support/engine.js';
import { contents, disposeState, makeState, noiseBatch } from '../../test/support/noise_batch.js';
import { TINY_SLOWFAST, TINY_SLOWONLY, tinyConfig } from '../../test/support/tiny_config.js';
import type { Batch } from '../data/loading/collate.js';
import { lazyStatistics } from '../engine/lazy_hints.js';
import { tensorAndProcessMemory } from '../engine/memory.js';
import { detectBatch } from '../evaluation/detect_clips.js';
import { NonFiniteError } from './nonfinite/nonfinite.js';
import { type StepOptions, stepRng, trainStep } from './step.js';
import type { TrainingState } from './training_state.js';

/** Everything that is random is on. */
const RANDOM = {
  'ViT.DROP_PATH_RATE': 0.4,
  'ViT.DROP_RATE': 0.1,
  'ViT.ATTN_DROP_RATE': 0.2,
  'MODEL.STM.DROPOUT': 0.3,
  'SOLVER.BASE_LR': 1e-3,
};

interface Case {
  /** Changes of the configuration. */
  readonly changes?: Readonly<Record<string, unknown>>;
  /** Whether some parameters are frozen. */
  readonly isFrozen?: boolean;
}

/** The step of one iteration. */
interface TestStep extends Pick<StepOptions, 'microBatchSize' | 'clipGradNorm'> {
  readonly batch: Batch;
  /** Learning rate of all groups. */
  readonly lr: number;
}

interface Outcome {
  /** Losses and gradient norms; null for a step that is not finite. */
  readonly losses: ({ terms: [string, number][]; total: number; gradNorm: number } | null)[];
  readonly contents: Map<string, Float32Array>;
  /** Operations recorded in each step, and tensors after it. */
  readonly recorded: number[];
  readonly tensors: number[];
}

/** Trains a new model. */
async function train(
  { changes, isFrozen = false }: Case,
  steps: readonly TestStep[],
  replay: boolean,
): Promise<Outcome> {
  const state = makeState(tinyConfig({ ...RANDOM, ...changes }));
  onTestFinished(() => disposeState(state));
  if (isFrozen) freeze(state);
  state.model.train();
  const before = tensorAndProcessMemory().tensors;
  const outcome: Outcome = { losses: [], contents: new Map(), recorded: [], tensors: [] };
  for (const [i, { batch, lr, ...options }] of steps.entries()) {
    for (const group of state.optimizer.paramGroups) group.lr = lr;
    const { recorded } = lazyStatistics()!;
    outcome.losses.push(await lossesOf(trainStep(state, batch, { ...options, rng: stepRng(3, i), replay })));
    outcome.recorded.push(lazyStatistics()!.recorded - recorded);
    outcome.tensors.push(tensorAndProcessMemory().tensors - before);
  }
  return { ...outcome, contents: contents(state) };
}

function freeze({ model }: TrainingState): void {
  for (const [name, parameter] of model.namedParameters())
    if (/blocks\.0|patch_embed|iof_tau/.test(name)) parameter.requiresGrad = false;
}

async function lossesOf(step: ReturnType<typeof trainStep>): Promise<Outcome['losses'][number]> {
  try {
    const { terms, total, gradNorm } = await step;
    return { terms: [...terms], total, gradNorm };
  } catch (error) {
    expect(error).toBeInstanceOf(NonFiniteError);
    return null;
  }
}

/** Clips of noise, of half the height if `isLow`. */
function batchOf(counts: readonly number[], seed: number, isLow = false): Batch {
  const batch = noiseBatch(tinyConfig(), counts, seed);
  if (!isLow) return batch;
  const [B, T, H, W, C] = batch.shape;
  return { ...batch, video: batch.video.slice(0, batch.video.length / 2), shape: [B, T, H / 2, W, C] };
}

/** Compares replayed with recorded steps to the last bit. Returns the operations that were recorded with replays. */
async function compare(what: Case, steps: readonly TestStep[]): Promise<number[]> {
  const replayed = await train(what, steps, true);
  const recorded = await train(what, steps, false);
  expect(replayed.losses).toEqual(recorded.losses);
  expect(replayed.contents).toEqual(recorded.contents);
  expect(replayed.tensors).toEqual(recorded.tensors);
  expect(new Set(replayed.tensors.slice(1)).size).toBe(1);
  expect(recorded.recorded.every((count) => count > 0)).toBe(true);
  return replayed.recorded;
}

describe.runIf(isRecording)('replayed training steps', () => {
  it('have the bits of recorded steps with masks, two sizes of clips and a batch that is not finite', async () => {
    const steps = Array.from({ length: 9 }, (_, i) => {
      const batch = batchOf([2, 1], i, i % 2 === 1);
      if (i === 6) batch.video[17] = Number.NaN;
      return { batch, lr: 1e-3 / (i + 1) };
    });
    const recorded = await compare({}, steps);
    // The first steps are captured; later ones of both sizes, and the one that fails, record nothing.
    expect(recorded.slice(0, 3).every((count) => count > 0)).toBe(true);
    expect(recorded.slice(4)).toEqual([0, 0, 0, 0, 0]);
  });

  it('have the bits of recorded steps with accumulation, clipping and frozen parameters', async () => {
    const steps = Array.from({ length: 5 }, (_, i) => {
      return { batch: batchOf([2, 0, 3], i), lr: 1e-3, microBatchSize: 1, clipGradNorm: i % 2 ? 0.5 : 1e9 };
    });
    const recorded = await compare({ isFrozen: true }, steps);
    expect(recorded.slice(3)).toEqual([0, 0]);
  });

  it('have the bits of recorded steps with activation checkpointing, SGD and learned positions', async () => {
    const changes = {
      'ViT.USE_CHECKPOINT': true,
      'ViT.USE_LEARNABLE_POS_EMB': true,
      'SOLVER.OPTIMIZING_METHOD': 'sgd',
      'SOLVER.WEIGHT_DECAY': 0,
      'SOLVER.MOMENTUM': 0.9,
    };
    const steps = Array.from({ length: 5 }, (_, i) => ({ batch: batchOf([1], i), lr: 1e-3 }));
    const recorded = await compare({ changes }, steps);
    expect(recorded.slice(4)).toEqual([0]);
  });

  it.each([
    ['batch statistics', TINY_SLOWFAST],
    ['frozen norms', { ...TINY_SLOWONLY, 'MODEL.BACKBONE.FROZEN_BN': true }],
  ])('have the bits of recorded steps with %s and a batch that is not finite', async (_, changes) => {
    const steps = Array.from({ length: 7 }, (_, i) => {
      const batch = batchOf([2, 1], i);
      if (i === 5) batch.video[17] = Number.NaN;
      return { batch, lr: 1e-3, microBatchSize: 1 };
    });
    const recorded = await compare({ changes }, steps);
    expect(recorded.slice(4)).toEqual([0, 0, 0]);
  });

  it('are recorded again after a change of the mode or of the trained parameters', async () => {
    const state = makeState(tinyConfig(RANDOM));
    onTestFinished(() => disposeState(state));
    const step = async (n: number) => {
      const { recorded } = lazyStatistics()!;
      await trainStep(state, batchOf([1], 1), { rng: stepRng(3, n) });
      return lazyStatistics()!.recorded - recorded > 0;
    };
    const steps = async (count: number) => {
      const recorded: boolean[] = [];
      for (let n = 0; n < count; n++) recorded.push(await step(n));
      return recorded;
    };
    expect(await steps(4)).toEqual([true, true, true, false]);
    state.model.stm_head.train(false);
    expect(await steps(3)).toEqual([true, true, false]);
    freeze(state);
    expect(await steps(3)).toEqual([true, true, false]);
    state.model.train();
    expect(await steps(3)).toEqual([true, true, false]);
  });

  it('leave the engine usable if a feed fails', async () => {
    const state = makeState(tinyConfig(RANDOM));
    onTestFinished(() => disposeState(state));
    const step = (n: number, batch = batchOf([1], n)) => trainStep(state, batch, { rng: stepRng(3, n) });
    for (let n = 0; n < 4; n++) await step(n);
    const { tensors } = tensorAndProcessMemory();
    const broken = { ...batchOf([1], 1), whwh: new Float32Array(3) };
    await expect(step(4, broken)).rejects.toThrow();
    expect(tensorAndProcessMemory().tensors).toBe(tensors);
    const { recorded } = lazyStatistics()!;
    await step(4);
    expect(lazyStatistics()!.recorded).toBe(recorded);
  });
});

describe.runIf(isRecording)('a replayed evaluation', () => {
  it.each([
    ['a ViT', {}],
    ['SlowFast', TINY_SLOWFAST],
  ])(
    'finds what a recorded one finds, while training goes on between its batches: %s',
    async (_, changes) => {
      const state = makeState(tinyConfig({ ...RANDOM, ...changes }));
      onTestFinished(() => disposeState(state));
      const detect = async (replay: boolean, seed: number) => {
        const { recorded } = lazyStatistics()!;
        const options = { personThreshold: 0.3, mirrored: false, replay };
        const found = await detectBatch(state.model.train(false), batchOf([1, 1], seed), options);
        state.model.train();
        return { found, isReplay: lazyStatistics()!.recorded === recorded };
      };
      for (let i = 0; i < 4; i++) {
        const [replayed, recorded] = [await detect(true, i), await detect(false, i)];
        expect(replayed.found).toEqual(recorded.found);
        expect([replayed.isReplay, recorded.isReplay]).toEqual([i > 1, false]);
        await trainStep(state, batchOf([1], i), { rng: stepRng(3, i) });
      }
    },
  );
});
