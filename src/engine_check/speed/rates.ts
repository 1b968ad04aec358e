/** @file The best rates of a device: copies, matrix products, attention with gradients. Sizes grow while the device is fast. */
import { runningBestRates } from '../../engine/cuda/best_rates.js';
import { onCudaVariant } from '../../engine/cuda/variants.js';
import { tf } from '../../engine/tfjs.js';
import { selfAttention } from '../../nn/attention.js';
import { Tape } from '../../nn/tape.js';

/** A measured rate. */
export interface Rate {
  /** What was measured, with its size. */
  readonly name: string;
  readonly unit: 'GB/s' | 'GFLOP/s';
  readonly rate: number;
  /** Time of one operation. */
  readonly seconds: number;
  /** The rate that the card allows, if it is known. */
  readonly best?: number;
}

/** The best rates. */
export interface Rates {
  readonly copy: Rate;
  readonly matMul: Rate;
  readonly attention: Rate;
  /** Products in other precisions, on engines that have them. */
  readonly tf32?: Rate;
  readonly bfloat16?: Rate;
}

/** A measurement lasts at least this long, unless it has the maximum of repetitions. */
const ENOUGH_SECONDS = 0.02;
const MAX_REPETITIONS = 100;
/** A larger size is measured only if one operation of it takes less than this. */
const MAX_SECONDS = 0.15;

const HEADS = 6;
const FEATURES = 384;
/** A product and its two gradients. */
const FORWARD_AND_BACKWARD = 3;

export async function measureRates(): Promise<Rates> {
  const best = runningBestRates();
  const rates = { copy: await copyRate(), matMul: await matMulRate(), attention: await attentionRate() };
  if (!best) return rates;
  return {
    ...rates,
    copy: outOf(rates.copy, best.bandwidth),
    matMul: outOf(await onCudaVariant('float32', matMulRate), best.float32),
    ...(best.tf32 === null
      ? {}
      : {
          tf32: outOf(await onCudaVariant('tf32', matMulRate), best.tf32),
          bfloat16: outOf(await onCudaVariant('bfloat16', matMulRate), best.bfloat16),
        }),
  };
}

function outOf(rate: Rate, best: number | null): Rate {
  return best === null ? rate : { ...rate, best: best / 1e9 };
}

/** Reads and writes an array; the rate counts both. The largest array counts, because smaller ones may fit into a cache. */
async function copyRate(): Promise<Rate> {
  const rates = await ratesOf([2 ** 18, 2 ** 20, 2 ** 22, 2 ** 24], 4, async (size) => {
    const seconds = await secondsOf([size], (x) => x.add(1));
    const name = `add 1 to ${(4 * size) / 2 ** 20} MiB`;
    return { name, unit: 'GB/s', seconds, rate: (8 * size) / seconds / 1e9 };
  });
  return rates[rates.length - 1];
}

async function matMulRate(): Promise<Rate> {
  const rates = await ratesOf([256, 512, 1024, 2048, 4096, 8192], 8, async (n) => {
    const weight = tf.fill([n, n], 1 / n);
    const seconds = await secondsOf([n, n], (x) => tf.matMul(x, weight)).finally(() => weight.dispose());
    return {
      name: `[${n}, ${n}]·[${n}, ${n}]`,
      unit: 'GFLOP/s',
      seconds,
      rate: (2 * n ** 3) / seconds / 1e9,
    };
  });
  return fastest(rates);
}

async function attentionRate(): Promise<Rate> {
  const rates = await ratesOf([64, 256, 512, 1024, 2048], 4, async (tokens) => {
    const seconds = await secondsOf([1, tokens, 3 * FEATURES], attentionWithGradient);
    const flops = FORWARD_AND_BACKWARD * 4 * tokens ** 2 * FEATURES;
    const name = `${tokens} tokens, ${HEADS} heads of ${FEATURES / HEADS}, with gradients`;
    return { name, unit: 'GFLOP/s', seconds, rate: flops / seconds / 1e9 };
  });
  return fastest(rates);
}

/** The gradient of the projections, which has their shape. */
function attentionWithGradient(qkv: tf.Tensor): tf.Tensor {
  const tape = new Tape(() => selfAttention(qkv, HEADS, { scale: (FEATURES / HEADS) ** -0.5 }));
  const dy = tape.value.clone();
  const [gradient] = tape.backward(dy, [qkv]);
  dy.dispose();
  return gradient as tf.Tensor;
}

/** Measures sizes while the next one, `growth` times as much work, is quick enough. */
async function ratesOf(
  sizes: readonly number[],
  growth: number,
  measure: (size: number) => Promise<Rate>,
): Promise<Rate[]> {
  const rates: Rate[] = [];
  for (const size of sizes) {
    const found = await measure(size);
    rates.push(found);
    if (growth * found.seconds > MAX_SECONDS) break;
  }
  return rates;
}

function fastest(rates: readonly Rate[]): Rate {
  return rates.reduce((best, rate) => (rate.rate > best.rate ? rate : best));
}

/** Seconds of an operation on a tensor of a shape, which gives a tensor of that shape. */
async function secondsOf(shape: number[], f: (x: tf.Tensor) => tf.Tensor): Promise<number> {
  const x = tf.fill(shape, 0.5);
  try {
    for (let count = 1; ; count *= 10) {
      // The first run compiles.
      await run(x, f, count);
      const seconds = Math.min(await run(x, f, count), await run(x, f, count));
      if (seconds >= ENOUGH_SECONDS || count >= MAX_REPETITIONS) return seconds / count;
    }
  } finally {
    x.dispose();
  }
}

/** Seconds of `count` operations, each on the result of the one before. */
async function run(x: tf.Tensor, f: (x: tf.Tensor) => tf.Tensor, count: number): Promise<number> {
  const start = performance.now();
  let y = x.clone();
  for (let i = 0; i < count; i++) {
    const next = f(y);
    y.dispose();
    y = next;
  }
  // Reading one element waits for all operations and copies little.
  const element = tf.tidy(() => y.flatten().slice([0], [1]));
  y.dispose();
  await element.data();
  element.dispose();
  return (performance.now() - start) / 1000;
}
