/** @file Engines have the fused kernels that they list, and a call that does not fit the contract does not compile. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RECORDING_ENGINE, TEST_DEVICE } from '../../test/support/engine.js';
import { fused } from '../nn/fused.js';
import { selectEngine } from './index.js';
import {
  ADAM_SCALARS,
  FUSED_KERNELS,
  type FusedBackend,
  type FusedKernelName,
  nameAdamScalars,
} from './kernel_contract.js';
import type { OnnxBackend } from './onnx/backend.js';
import { fusedKernel } from './onnx/kernel.js';
import { floats } from './record/kernel.js';
import { tf } from './tfjs.js';

const NAMES = Object.keys(FUSED_KERNELS) as FusedKernelName[];
/** Fused kernels that an engine lacks by choice, so that nn/ composes them. */
const LACKING: Record<string, () => readonly FusedKernelName[]> = {
  cuda: () => [],
  onnx: () => {
    const { kernels } = tf.backend() as OnnxBackend;
    if (kernels.name === 'native') return [];
    const pooling = ['MaxPool3d', 'MaxPool3dGrad'] as const;
    return kernels.name === 'onnx' ? ['SumOfSquares', ...pooling] : pooling;
  },
  cpu: () => NAMES,
};

const current = () => tf.backend() as unknown as Partial<FusedBackend>;

afterEach(() => vi.restoreAllMocks());

describe.each([
  [RECORDING_ENGINE, TEST_DEVICE],
  ['cpu', 'cpu'],
] as const)('the %s engine', (engine, device) => {
  it('lists every fused kernel except the ones that it lacks by choice', async () => {
    await selectEngine({ engine, device });
    const listed = [...(current().fusedKernels ?? [])];
    expect([...listed, ...LACKING[engine]()].sort()).toEqual([...NAMES].sort());
  });

  it('has registered every fused kernel that it lists', async () => {
    await selectEngine({ engine, device });
    for (const name of current().fusedKernels ?? [])
      expect(tf.getKernel(name, tf.getBackend()), name).toBeDefined();
  });
});

describe('fused', () => {
  it('composes the kernels that the engine does not list', async () => {
    await selectEngine({ engine: 'cpu', device: 'cpu' });
    const x = tf.tensor1d([1]);
    const composed = vi.fn((): [tf.Tensor] => [x]);
    expect(fused('Gelu', { x }, {}, composed)).toEqual([x]);
    expect(composed).toHaveBeenCalledOnce();
    x.dispose();
  });

  it('throws instead of composing if the engine lists a kernel that it has not registered', async () => {
    await selectEngine({ engine: 'cpu', device: 'cpu' });
    Object.assign(tf.backend(), { fusedKernels: new Set(['Gelu']) });
    const x = tf.tensor1d([1]);
    expect(() => fused('Gelu', { x }, {}, () => [x])).toThrow(/Gelu/);
    Object.assign(tf.backend(), { fusedKernels: undefined });
    x.dispose();
  });
});

it('names the scalars of an Adam update in order', () => {
  const named = nameAdamScalars(ADAM_SCALARS.map((_, i) => i));
  expect(Object.keys(named)).toEqual([...ADAM_SCALARS]);
  expect(named).toMatchObject({ decay: 0, stepSize: ADAM_SCALARS.length - 1 });
});

it('reports calls and lowerings that do not fit as compile errors', () => {
  // Only compiled: `tsc` reports each `@ts-expect-error` whose line compiles.
  const mistakes = (x: tf.Tensor, composed: () => [tf.Tensor]) => {
    // @ts-expect-error: no kernel has this name.
    fused('Gelo', { x }, {}, composed);
    // @ts-expect-error: the input is missing.
    fused('Gelu', {}, {}, composed);
    // @ts-expect-error: the input has another name.
    fused('Gelu', { y: x }, {}, composed);
    // @ts-expect-error: an attribute is missing.
    fused('LayerNorm', { x }, { eps: 1 }, composed);
    // @ts-expect-error: an attribute has another type.
    fused('LayerNorm', { x }, { eps: '1', width: 1 }, composed);
    // @ts-expect-error: there is one result.
    fused('Gelu', { x }, {}, () => [x, x]);
    const adam = { weight: x, grad: x, exp_avg: x, exp_avg_sq: x, scalars: x };
    // @ts-expect-error: there are three results.
    fused('AdamUpdate', adam, { decoupled: true }, composed);
    // @ts-expect-error: the kernel has no second result to take.
    const [, second] = fused('Gelu', { x }, {}, composed);
    void second;

    const results = () => [floats([1])] as const;
    // @ts-expect-error: no kernel has this name.
    fusedKernel('Gelo', { results, lower: () => ['y'] });
    // @ts-expect-error: the kernel has no such input.
    fusedKernel('Gelu', { results, lower: (_, { y }) => [y.name] });
    // @ts-expect-error: the kernel has no such attribute.
    fusedKernel('LayerNorm', { results, lower: (_g, { x }, { epsilon }) => [`${x.name}${epsilon}`] });
    // @ts-expect-error: the input may be missing.
    fusedKernel('Linear', { results, lower: (_, { bias }) => [bias.name] });
    // @ts-expect-error: there is one result.
    fusedKernel('Gelu', { results, lower: (_, { x }) => [x.name, x.name] });
    // @ts-expect-error: the shapes of three results are needed.
    fusedKernel('AdamUpdate', { results, lower: () => ['weight', 'exp_avg', 'exp_avg_sq'] });
  };
  expect(mistakes).toBeTypeOf('function');
});
