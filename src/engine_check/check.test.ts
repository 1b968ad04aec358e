/** @file The check finds every wrong kernel, and covers every kernel that a training uses. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeState, noiseBatch } from '../../test/support/noise_batch.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { selectEngine } from '../engine/index.js';
import { tf } from '../engine/tfjs.js';
import { detectBatch } from '../evaluation/detect_clips.js';
import { trainStep } from '../training/step.js';
import { type Case, compute, contentsOf, EXACT, type Family, floats } from './case.js';
import { differenceOf, isWithin } from './compare.js';
import { FAMILIES } from './families/index.js';
import { runCase, runFamily } from './run_family.js';
import { checkTraining } from './training_step/check_training.js';
import { expectedSteps, type Summary } from './training_step/expected.js';
import { compareSteps, isWrong, runSteps, type StepsRun } from './training_step/run_steps.js';

const BACKEND = 'onnx';
const originals = new Map(tf.getKernelsForBackend(BACKEND).map((kernel) => [kernel.kernelName, kernel]));
/** Kernels that were called. */
const used = new Set<string>();
/** The kernel whose results are wrong, and how many of its calls are right before. */
let broken: string | null = null;
let rightCalls = 0;

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
  for (const kernel of tf.getKernelsForBackend(BACKEND)) originals.set(kernel.kernelName, kernel);
  for (const [kernelName, { kernelFunc }] of originals) {
    tf.unregisterKernel(kernelName, BACKEND);
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: (params) => {
        used.add(kernelName);
        const results = kernelFunc(params);
        if (broken !== kernelName || rightCalls-- > 0) return results;
        return Array.isArray(results) ? results.map(spoilt) : spoilt(results);
      },
    });
  }
});

afterEach(() => {
  broken = null;
  rightCalls = 0;
});

/** A result that is off by 0.01, by 1 for whole numbers, or negated. */
function spoilt(result: tf.TensorInfo): tf.TensorInfo {
  const backend = tf.backend();
  const run = (name: string, inputs: tf.NamedTensorInfoMap) =>
    originals.get(name)!.kernelFunc({ inputs, backend, attrs: {} }) as tf.TensorInfo;
  const { dtype } = result;
  if (dtype === 'bool') return run('LogicalNot', { x: result });
  const offset = dtype === 'float32' ? Float32Array.of(0.01) : Int32Array.of(1);
  return run('Add', { a: result, b: { dataId: backend.write(offset, [], dtype), shape: [], dtype } });
}

/** The kernels that a case calls. */
async function kernelsOf(family: Family, test: Case): Promise<string[]> {
  used.clear();
  await compute(test, contentsOf(family.name, test));
  return [...used];
}

describe('the kernel families', () => {
  /** The cases that call a kernel, by its name. */
  const callers = new Map<string, [Family, Case][]>();

  beforeAll(async () => {
    for (const family of FAMILIES) {
      for (const test of family.cases) {
        for (const kernel of await kernelsOf(family, test))
          callers.set(kernel, [...(callers.get(kernel) ?? []), [family, test]]);
      }
    }
  });

  it('fail for every kernel whose results are off by a hundredth', async () => {
    const unnoticed: string[] = [];
    for (const [kernel, cases] of callers) {
      broken = kernel;
      let isNoticed = false;
      for (const [family, test] of cases) {
        if (!isNoticed) isNoticed = !(await runCase(family, test)).ok;
      }
      if (!isNoticed) unnoticed.push(kernel);
    }
    expect(unnoticed).toEqual([]);
    expect(callers.size).toBeGreaterThan(50);
  });

  it('call every kernel that training and evaluation call', async () => {
    used.clear();
    const masks = { 'ViT.DROP_PATH_RATE': 0.3, 'ViT.USE_CHECKPOINT': true, 'MODEL.STM.DROPOUT': 0.1 };
    const others = { 'ViT.INIT_VALUES': 0.1, 'ViT.USE_LEARNABLE_POS_EMB': true, 'SOLVER.MOMENTUM': 0.9 };
    for (const changes of [{}, { ...masks, ...others, 'SOLVER.OPTIMIZING_METHOD': 'sgd' }]) {
      const cfg = tinyConfig(changes);
      const state = makeState(cfg);
      const batch = noiseBatch(cfg, [1, 2]);
      await trainStep(state, batch, { clipGradNorm: 1, microBatchSize: 1 });
      await detectBatch(state.model.train(false), batch, { personThreshold: 0.1, mirrored: true });
      state.model.dispose();
      state.optimizer.dispose();
    }
    expect([...used].filter((kernel) => !callers.has(kernel))).toEqual([]);
    expect(used.size).toBeGreaterThan(40);
  });

  it('pass on this engine, and keep no tensors', async () => {
    const before = tf.memory().numTensors;
    for (const family of FAMILIES)
      expect(await runFamily(family), family.name).toMatchObject({ failures: [], deterministic: true });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('have results that are not all zero', async () => {
    for (const family of FAMILIES) {
      for (const test of family.cases) {
        const results = await compute(test, contentsOf(family.name, test));
        expect(results.length, test.name).toBeGreaterThan(0);
        const numbers = results.flatMap(({ data }) => Array.from(data));
        expect(
          numbers.some((x) => x !== 0),
          test.name,
        ).toBe(true);
      }
    }
  });
});

describe('a family', () => {
  const family = (cases: Case[]): Family => ({ name: 'some', tolerance: EXACT, reason: '', cases });
  const good: Case = { name: 'good', inputs: [floats([3])], compute: (x) => x.add(0) };
  const run = (test: Omit<Case, 'name'>) => runFamily(family([{ name: 'bad', ...test }, good]));

  it('reports an exception as the failure of its case, and goes on', async () => {
    const outcome = await run({
      inputs: [],
      compute: () => {
        throw new Error('no such kernel');
      },
    });
    expect(outcome.failures).toEqual(['some, bad: no such kernel']);
    expect(outcome.cases.map(({ ok }) => ok)).toEqual([false, true]);
  });

  it('fails if a number is not finite at another place than expected', async () => {
    const outcome = await run({
      inputs: [floats([3])],
      compute: (x) => x.div(0),
      expected: () => [[1, 2, 3]],
    });
    expect(outcome.failures).toEqual(['some, bad: NaN or infinity stands at another place than expected']);
    expect(outcome.difference.norm).toBe(Number.POSITIVE_INFINITY);
  });

  it('says how large an error is, and how large it may be', async () => {
    const wrong: Case = {
      name: 'bad',
      inputs: [floats([3])],
      compute: (x) => x.mul(0),
      expected: (xs) => xs,
    };
    const { failures } = await runFamily({ ...family([wrong]), tolerance: { norm: 1e-5, largest: 2e-5 } });
    expect(failures).toEqual([
      'some, bad: error 1.0e+0 of the norm, at most 1e-5 expected; error 1.0e+0 of the largest value, at most 2e-5 expected',
    ]);
  });

  it('fails if there are other results than expected', async () => {
    const outcome = await run({ inputs: [floats([3])], compute: (x) => x, expected: () => [[1, 2]] });
    expect(outcome.failures).toEqual(['some, bad: 3 numbers instead of 2']);
    const none = await run({ inputs: [floats([3])], compute: (x) => [x, x], expected: ([x]) => [x] });
    expect(none.failures).toEqual(['some, bad: 2 results instead of 1']);
  });

  it('notices two runs with different bits', async () => {
    let calls = 0;
    const outcome = await run({
      inputs: [floats([3])],
      compute: (x) => x.mul(0).add(calls++ === 1 ? 1e-8 : 0),
      expected: () => [[0, 0, 0]],
    });
    expect(outcome).toMatchObject({ ok: true, deterministic: false });
  });
});

it('one wrong number among many is beyond the tolerance', () => {
  const expected = Float64Array.from({ length: 100_000 }, (_, i) => Math.sin(i));
  const actual = expected.map((x, i) => (i === 777 ? x + 1e-3 : x));
  expect(isWithin(differenceOf(actual, expected), { norm: 1e-5, largest: 2e-5 })).toBe(false);
  expect(isWithin(differenceOf(expected, expected), EXACT)).toBe(true);
});

describe('the training steps', () => {
  const namesOf = (comparisons: readonly { name: string }[]) => comparisons.map(({ name }) => name);
  const expected = expectedSteps();
  const firstStep = {
    ...expected,
    losses: expected.losses.slice(0, 1),
    grad_norms: expected.grad_norms.slice(0, 1),
    change: { values: {}, left_out: [] },
  };

  it('fail if a kernel is off by a hundredth', async () => {
    broken = 'LayerNorm';
    const { ok, failures } = await checkTraining(firstStep);
    expect(ok).toBe(false);
    expect(failures[0]).toMatch(
      /^training steps, losses, total of step 1: error \S+, at most 3e-5 expected$/,
    );
  });

  it('notice a second run with other numbers', async () => {
    expect(await checkTraining(firstStep)).toMatchObject({ ok: true, deterministic: true });
    broken = 'LayerNorm';
    rightCalls = Number.MAX_SAFE_INTEGER;
    await runSteps(firstStep);
    rightCalls = Number.MAX_SAFE_INTEGER - rightCalls;
    expect(await checkTraining(firstStep)).toMatchObject({ ok: true, deterministic: false });
  });

  it('report an exception as their failure', async () => {
    const { ok, failures } = await checkTraining({ ...firstStep, settings: {} });
    expect(ok).toBe(false);
    expect(failures).toEqual([expect.stringMatching(/^training steps: MODEL\.BACKBONE\.CONV_BODY: /)]);
  });

  it("compare every number of PyTorch's", () => {
    const run: StepsRun = {
      losses: expected.losses.map(({ total, ...terms }, i) => ({
        total,
        terms: new Map(Object.entries(terms)),
        gradNorm: expected.grad_norms[i],
      })),
      gradients: new Map(Object.entries(expected.gradients.values)),
      change: new Map(Object.entries(expected.change.values)),
    };
    const wrong = () => namesOf(compareSteps(run, expected).filter(isWrong));
    expect(wrong()).toEqual([]);
    for (const change of [run.gradients, run.change] as Map<string, Summary>[]) {
      for (const [name, [norm, product]] of [...change]) {
        change.set(name, [norm, product + 0.02 * norm]);
        expect(wrong()).toEqual([name]);
        change.set(name, [Number.NaN, product]);
        expect(wrong()).toEqual([name]);
        change.set(name, [norm, product]);
      }
    }
    const terms = run.losses[0].terms as Map<string, number>;
    terms.delete('loss_giou_0');
    expect(wrong()).toEqual(['loss_giou_0 of step 1']);
  });
});
