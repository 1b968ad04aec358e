/** @file One step: parts of a batch against the whole, what is not finite, clipping, and that nothing is left or compiled anew. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { isRecording, TEST_ENGINE } from '../../test/support/engine.js';
import { contents, disposeState, distance, makeState, noiseBatch } from '../../test/support/noise_batch.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { lazyStatistics } from '../engine/lazy_hints.js';
import { tf } from '../engine/tfjs.js';
import { totalNorm } from './grad_norm.js';
import { NonFiniteError } from './nonfinite/nonfinite.js';
import { computeGradients, type StepOptions, stepRng, trainStep } from './step.js';
import type { TrainingState } from './training_state.js';

/** Everything that is random is on. */
const CFG = tinyConfig({
  'ViT.DROP_PATH_RATE': 0.4,
  'ViT.DROP_RATE': 0.1,
  'ViT.ATTN_DROP_RATE': 0.2,
  'MODEL.STM.DROPOUT': 0.3,
  'SOLVER.BASE_LR': 1e-3,
  'SOLVER.WARMUP_ON': false,
});
/** Without a box, with more boxes than the five queries, and others. */
const COUNTS = [2, 0, 7, 1, 3];

function state(cfg = CFG) {
  const made = makeState(cfg);
  onTestFinished(() => disposeState(made));
  return made;
}

async function gradients(options: StepOptions) {
  const training = makeState(CFG);
  const { model, criterion } = training;
  const losses = await computeGradients({ model, criterion }, noiseBatch(CFG, COUNTS), {
    rng: stepRng(3, 7),
    ...options,
  });
  const grads = new Map(
    [...model.namedParameters()].map(([name, { grad }]) => [name, grad!.dataSync().slice() as Float32Array]),
  );
  disposeState(training);
  return { ...losses, grads };
}

describe('a batch in micro-batches', () => {
  let whole: Awaited<ReturnType<typeof gradients>>;

  beforeAll(async () => {
    whole = await gradients({});
  });

  it.each([1, 2, 4])(
    'has the loss and the gradients of the whole batch, %i clips per micro-batch',
    async (microBatchSize) => {
      const parts = await gradients({ microBatchSize });
      expect([...parts.terms.keys()]).toEqual([...whole.terms.keys()]);
      for (const [name, term] of whole.terms)
        expect(distance([parts.terms.get(name)!], [term]), name).toBeLessThan(1e-5);
      expect(distance([parts.total], [whole.total])).toBeLessThan(1e-5);
      expect(distance([parts.gradNorm], [whole.gradNorm])).toBeLessThan(1e-5);
      const scale = Math.max(...[...whole.grads.values()].map((grad) => Math.hypot(...grad)));
      for (const [name, grad] of whole.grads) {
        const part = parts.grads.get(name)!;
        // Where a gradient is nothing but rounding there is nothing to compare.
        if (Math.hypot(...grad) > 1e-6 * scale) expect(distance(part, grad), name).toBeLessThan(1e-4);
      }
      // All together, where rounding averages out.
      const all = (map: typeof whole.grads) => [...map.values()].flatMap((grad) => [...grad]);
      expect(distance(all(parts.grads), all(whole.grads))).toBeLessThan(5e-6);
    },
  );

  it('has another loss with other masks', async () => {
    const { model, criterion } = state();
    const batch = noiseBatch(CFG, COUNTS);
    const { total } = await computeGradients({ model, criterion }, batch, {
      rng: stepRng(3, 8),
      microBatchSize: 2,
    });
    expect(Math.abs(total - whole.total)).toBeGreaterThan(1e-3);
  });

  it('gives the same weights', async () => {
    // Adam's first step is the sign of a gradient, also of one that is but rounding.
    const cfg = { ...CFG, SOLVER: { ...CFG.SOLVER, OPTIMIZING_METHOD: 'sgd' as const } };
    const [before, whole, parts] = [state(cfg), state(cfg), state(cfg)];
    const batch = noiseBatch(cfg, COUNTS);
    await trainStep(whole, batch, { rng: stepRng(3, 7) });
    await trainStep(parts, batch, { rng: stepRng(3, 7), microBatchSize: 2 });
    const changes = (after: TrainingState) => {
      const start = contents(before);
      return [...contents(after)].flatMap(([name, x]) =>
        [...x].map((value, i) => value - (start.get(name)?.[i] ?? 0)),
      );
    };
    const expected = changes(whole);
    expect(Math.hypot(...expected)).toBeGreaterThan(1e-3);
    expect(distance(changes(parts), expected)).toBeLessThan(1e-5);
  });
});

describe('an error about values that are not finite', () => {
  async function failure(step: Promise<unknown>): Promise<NonFiniteError> {
    const error = await step.then(
      () => null,
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(NonFiniteError);
    return error;
  }

  it('names the terms and the clip for a loss, before anything changes', async () => {
    const training = state();
    const batch = noiseBatch(CFG, COUNTS);
    await trainStep(training, batch, { rng: stepRng(3, 1) });
    const before = contents(training);
    const tensors = tf.memory().numTensors;
    const size = batch.video.length / COUNTS.length;
    batch.video[3 * size + 17] = Number.NaN;
    const { details, message } = await failure(trainStep(training, batch, { rng: stepRng(3, 2) }));
    expect(details).toMatchObject({ what: 'loss', clips: [{ videoName: 'video3', second: 903 }] });
    expect(details.terms.get('loss_ce')).toBeNaN();
    expect(message).toMatch(
      /^the loss is not finite \(loss_bce = NaN, .*\) for video3 at second 903\. The weights/,
    );
    expect(contents(training)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('names the micro-batch for a loss, though earlier ones had gradients', async () => {
    const training = state();
    const batch = noiseBatch(CFG, COUNTS);
    const before = contents(training);
    const tensors = tf.memory().numTensors;
    batch.boxes[2][1] = Number.NaN;
    const step = trainStep(training, batch, { rng: stepRng(3, 2), microBatchSize: 2 });
    const { details } = await failure(step);
    expect(details).toMatchObject({
      what: 'loss',
      microBatch: { first: 2, count: 2, batchSize: 5 },
      clips: [{ clipId: 2 }],
    });
    expect(contents(training)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('names the parameters and the clips if only gradients are affected', async () => {
    // The loss fits into single precision, its derivatives times the weights do not.
    const cfg = tinyConfig({ 'MODEL.STM.ACTION_WEIGHT': 3e38 });
    const training = state(cfg);
    for (const [name, parameter] of training.model.namedParameters()) {
      if (!name.endsWith('1.fc_action.weight')) continue;
      parameter.set((parameter.value.dataSync() as Float32Array).map((x) => 100 * x));
    }
    const before = contents(training);
    const tensors = tf.memory().numTensors;
    const { details, message } = await failure(
      trainStep(training, noiseBatch(cfg, [1, 2]), { rng: stepRng(3, 2) }),
    );
    expect(details.what).toBe('gradients');
    expect(Number.isFinite(details.total)).toBe(true);
    expect(details.parameters).toContain('backbone.blocks.0.attn.qkv.weight');
    expect(details.parameters).not.toContain('stm_head.decoder_stages.1.human_fc_cls.weight');
    expect(message).toMatch(
      /gradients of \d+ of \d+ parameters are not finite \(.*, …\) for video0 at second 900; video1/,
    );
    expect(contents(training)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

describe('gradient clipping', () => {
  it('scales the gradients that the optimizer gets, and returns the norm before it', async () => {
    const cfg = tinyConfig({
      'SOLVER.OPTIMIZING_METHOD': 'sgd',
      'SOLVER.MOMENTUM': 0,
      'SOLVER.WEIGHT_DECAY': 0,
    });
    const batch = noiseBatch(cfg, [1, 2]);
    const change = async (clipGradNorm: number) => {
      const training = state(cfg);
      for (const group of training.optimizer.paramGroups)
        Object.assign(group, { lr: 1, weight_decay: 0, lr_scale: 1 });
      const before = contents(training);
      const { gradNorm } = await trainStep(training, batch, { rng: stepRng(3, 2), clipGradNorm });
      const after = contents(training);
      const norms = [...before].map(([name, x]) =>
        Math.hypot(...x.map((old, i) => old - after.get(name)![i])),
      );
      return { gradNorm, changed: totalNorm(norms) };
    };
    const free = await change(0);
    expect(free.changed / free.gradNorm).toBeCloseTo(1, 4);
    const most = free.gradNorm / 3;
    const clipped = await change(most);
    expect(clipped.gradNorm).toBe(free.gradNorm);
    expect(clipped.changed / most).toBeCloseTo(1, 3);
    expect((await change(2 * free.gradNorm)).changed).toBe(free.changed);
  });
});

describe('an engine that works asynchronously', () => {
  it.runIf(isRecording)(
    'leaves the event loop free in the forward pass, and compiles nothing twice',
    async () => {
      const training = state();
      const { criterion } = training;
      const batch = noiseBatch(CFG, COUNTS);
      let turns = 0;
      let seen = -1;
      let running = true;
      const turn = () => {
        turns++;
        if (running) setImmediate(turn);
      };
      const evaluate = criterion.evaluate.bind(criterion);
      criterion.evaluate = (...args) => {
        seen = turns;
        return evaluate(...args);
      };
      setImmediate(turn);
      await trainStep(training, batch, { rng: stepRng(3, 1) });
      running = false;
      // On a GPU the forward pass is only queued.
      if (TEST_ENGINE === 'onnx') expect(seen).toBeGreaterThan(0);
      const options = { microBatchSize: 2, clipGradNorm: 1e-3 };
      // The second step is the first that finds the optimizer's state.
      for (const n of [2, 3]) await trainStep(training, batch, { rng: stepRng(3, n), ...options });
      const { compiled } = lazyStatistics()!;
      for (const n of [4, 5])
        await trainStep(training, batch, { rng: stepRng(3, n), ...options, clipGradNorm: n });
      expect(lazyStatistics()!.compiled).toBe(compiled);
    },
  );
});
