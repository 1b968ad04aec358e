/** @file Layers of ResNets on the stand-in: a small network in bfloat16, and the digits of batch statistics. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Size3 } from '../../src/engine/kernel_contract.js';
import { tf } from '../../src/engine/tfjs.js';
import { BatchNorm, type BatchStatistics, type NormScope } from '../../src/nn/batch_norm.js';
import { fanInUniform } from '../../src/nn/init.js';
import { maxPool3d } from '../../src/nn/max_pool3d.js';
import { initializeParameters, Module, Parameter } from '../../src/nn/module.js';
import { backward } from '../../src/nn/tape.js';
import { Rng } from '../../src/util/random.js';
import { startCudaOnCpu } from '../cuda_on_cpu/start.js';
import { relativeError } from '../golden/golden.js';
import { normals } from '../support/finite_difference.js';

// All products and normalisations are in bfloat16, however small.
const { standIn } = await startCudaOnCpu({
  precision: 'bfloat16',
  bfloat16Sizes: { minMultiplyAdds: 0, minElements: 0 },
});

const FORWARD = 2e-2;
/** Rounding moves values across the kinks of ReLU and of maxima. */
const GRADIENTS = 0.15;

const X = normals([2, 4, 18, 22, 3], new Rng(1));

interface Geometry {
  readonly stride?: Size3;
  readonly padding?: Size3;
  readonly relu?: boolean;
  readonly residual?: tf.Tensor;
}

/** A convolution and its norm. */
class Layer extends Module {
  readonly weight: Parameter;
  readonly norm: BatchNorm;

  constructor(shape: number[], frozen: boolean) {
    super();
    this.weight = new Parameter(shape, fanInUniform(shape.slice(1).reduce((a, b) => a * b)));
    this.norm = new BatchNorm(shape[0], { frozen });
  }

  forward(x: tf.Tensor, geometry: Geometry): tf.Tensor {
    const scope: NormScope = { take: ({ mean, variance }) => tf.dispose([mean, variance]) };
    return this.norm.after(x, this.weight.value, { ...geometry, scope });
  }
}

/** A stem and a block whose shortcut is a convolution. */
class Network extends Module {
  readonly stem: Layer;
  readonly a: Layer;
  readonly b: Layer;
  readonly c: Layer;
  readonly shortcut: Layer;

  constructor(frozen: boolean) {
    super();
    const layer = (...shape: number[]) => new Layer(shape, frozen);
    this.stem = layer(8, 3, 1, 7, 7);
    this.a = layer(8, 8, 3, 1, 1);
    this.b = layer(8, 8, 1, 3, 3);
    this.c = layer(16, 8, 1, 1, 1);
    this.shortcut = layer(16, 8, 1, 1, 1);
  }

  forward(x: tf.Tensor): tf.Tensor {
    const half = { stride: [1, 2, 2] } as const;
    const stem = this.stem.forward(x, { ...half, padding: [0, 3, 3], relu: true });
    const pooled = maxPool3d(stem, { kernel: [1, 3, 3], ...half, padding: [0, 1, 1] });
    const a = this.a.forward(pooled, { padding: [1, 0, 0], relu: true });
    const b = this.b.forward(a, { ...half, padding: [0, 1, 1], relu: true });
    return this.c.forward(b, { relu: true, residual: this.shortcut.forward(pooled, half) });
  }
}

/** The value of the network, and all gradients one after the other. */
function step(network: Network, x: tf.Tensor): [y: ArrayLike<number>, grads: number[]] {
  const y = tf.tidy(() => network.forward(x));
  const slopes = Float32Array.from({ length: y.size }, (_, i) => Math.sin(i));
  const values = network.parameters().map((parameter) => parameter.value);
  const { value, grads } = backward(() => network.forward(x).mul(tf.tensor(slopes, y.shape)).sum(), values);
  const found: [ArrayLike<number>, number[]] = [
    y.dataSync(),
    grads.flatMap((gradient) => Array.from(gradient!.dataSync())),
  ];
  tf.dispose([y, value, ...grads.map((gradient) => gradient!)]);
  return found;
}

async function stepsOn(backend: string, frozen: boolean, count: number) {
  await tf.setBackend(backend);
  const network = new Network(frozen);
  initializeParameters(network, 3);
  const x = tf.tensor(X.data, X.shape);
  const results = Array.from({ length: count }, () => step(network, x));
  x.dispose();
  network.dispose();
  return results;
}

describe('a residual network in bfloat16', () => {
  afterAll(() => {
    expect(standIn.counters().plans).toBeGreaterThan(0);
  });

  it.each([
    ['with batch statistics', false],
    ['with frozen norms', true],
  ])(
    'has the value and gradients of the plain engine, and the same bits each time, %s',
    async (_, frozen) => {
      const [[y, grads]] = await stepsOn('cpu', frozen, 1);
      const results = await stepsOn('cuda', frozen, 4);
      const errors = [relativeError(results[0][0], y), relativeError(results[0][1], grads)];
      expect(errors[0]).toBeLessThan(FORWARD);
      expect(errors[1]).toBeLessThan(GRADIENTS);
      for (const error of errors) expect(error).toBeGreaterThan(1e-4);
      for (const again of results.slice(1)) expect(again).toEqual(results[0]);
    },
  );
});

describe('batch statistics in float32', () => {
  it('keep the digits of a variance that is small beside the mean', async () => {
    await tf.setBackend('cuda');
    const [rows, C] = [6000, 2];
    const noise = normals([1, 1, 60, 100, C], new Rng(2));
    // The first rows are far from the others.
    const data = noise.data.map((value, i) => 1000 + value * (i < 40 ? 30 : 1));
    const exact = Array.from({ length: C }, (_, c) => {
      const channel = [...data].filter((_, i) => i % C === c);
      const mean = channel.reduce((a, b) => a + b) / rows;
      return channel.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rows;
    });
    const norm = new BatchNorm(C);
    initializeParameters(norm, 1);
    let variance: tf.Tensor | null = null;
    const take = (statistics: BatchStatistics) => {
      variance = statistics.variance;
      statistics.mean.dispose();
    };
    tf.tidy(() => norm.forward(tf.tensor(data, noise.shape), { scope: { take } }));
    const found = variance as unknown as tf.Tensor;
    expect(relativeError(found.dataSync(), exact)).toBeLessThan(1e-5);
    found.dispose();
    norm.dispose();
  });
});
