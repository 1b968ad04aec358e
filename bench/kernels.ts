/**
 * @file Times the most expensive kernels of a step, at the sizes of VMAEv2-ViTB-16x4 on one clip of 16×256×352, and
 * compares them with the machine's best rates.
 *
 *   npm run bench:kernels -- [--engine E] [--runs K] [--json]
 */
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { type EngineRequest, selectEngine } from '../src/engine/index.js';
import { sync } from '../src/engine/lazy_hints.js';
import { tf } from '../src/engine/tfjs.js';
import { selfAttention } from '../src/nn/attention.js';
import { conv3d } from '../src/nn/conv3d.js';
import { gelu, layerNorm, linear } from '../src/nn/functional.js';
import { Parameter } from '../src/nn/module.js';
import { weightedRowSum } from '../src/nn/spatial.js';
import { backward, differentiable } from '../src/nn/tape.js';
import { AdamW } from '../src/solver/adamw.js';
import { copyRate, matMulRate, timeRuns } from './machine.js';
import { median } from './statistics.js';

/** Tokens, features, heads, hidden features of the backbone. */
const [N, C, HEADS, HIDDEN] = [2816, 768, 12, 3072];
/** The finest map of the neck [T, H, W, D]. */
const [T, H, W, D] = [8, 64, 88, 256];
/** Samples of one decoder stage: 100 queries · 4 groups · 32 points, 16 rows each, of 8 time steps · 64 features. */
const [SAMPLES, ROWS, WIDTH, POSITIONS] = [12800, 16, 512, 29920];
const PARAMETERS = 20_000_000;

interface Case {
  name: string;
  /** Floating-point operations or bytes moved, whichever bounds it. */
  flops?: number;
  bytes?: number;
  inputs: tf.Tensor[];
  f(...inputs: tf.Tensor[]): tf.Tensor;
  /** Work of the gradients in units of the forward pass; 0 to leave them out. */
  backwardWork: number;
}

const command = new Command('bench:kernels')
  .option('--engine <name>', '', 'auto')
  .option('--runs <n>', 'timed runs of each, after one that is not', '7')
  .option('--json')
  .parse();
const flags = command.opts<{ engine: EngineRequest['engine']; runs: string; json?: boolean }>();
const runs = Number(flags.runs);
const engine = await selectEngine({ engine: flags.engine, device: 'auto' });

const random = (...shape: number[]) => tf.keep(tf.tidy(() => tf.tensor(noise(shape), shape)));
const noise = (shape: number[]) => {
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  // A congruential sequence: values without structure, made faster than by a proper generator.
  for (let i = 0, state = 1; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
};

const index = tf.keep(
  tf.tensor2d(
    Int32Array.from(noise([SAMPLES * ROWS]), (value) => Math.floor(((value + 1) / 2) * POSITIONS)),
    [SAMPLES, ROWS],
    'int32',
  ),
);
const cases: Case[] = [
  {
    name: `matMul [${N}, ${C}]·[${C}, ${HIDDEN}]`,
    flops: 2 * N * C * HIDDEN,
    inputs: [random(N, C), random(HIDDEN, C), random(HIDDEN)],
    f: linear,
    backwardWork: 2,
  },
  {
    name: `softmax [${HEADS}, 1408, 1408]`,
    bytes: 8 * HEADS * 1408 ** 2,
    inputs: [random(HEADS, 1408, 1408)],
    f: (x) => tf.softmax(x),
    backwardWork: 0,
  },
  {
    name: `layerNorm [${N}, ${C}]`,
    bytes: 8 * N * C,
    inputs: [random(N, C), random(C), random(C)],
    f: (x, weight, bias) => layerNorm(x, 1e-6, { weight, bias }),
    backwardWork: 1.5,
  },
  {
    name: `gelu [${N}, ${HIDDEN}]`,
    bytes: 8 * N * HIDDEN,
    inputs: [random(N, HIDDEN)],
    f: gelu,
    backwardWork: 1.5,
  },
  {
    name: `attention, ${HEADS} heads, ${N} tokens`,
    flops: 4 * N * N * C,
    inputs: [random(1, N, 3 * C)],
    f: (qkv) => selfAttention(qkv, HEADS, { scale: (C / HEADS) ** -0.5 }),
    backwardWork: 2,
  },
  {
    name: `conv3d 3×3×3, ${D}→${D}, ${T}×${H}×${W}`,
    flops: 2 * T * H * W * 27 * D * D,
    inputs: [random(1, T, H, W, D), random(D, D, 3, 3, 3)],
    f: (x, weight) => conv3d(x, weight, { padding: [1, 1, 1] }),
    backwardWork: 2,
  },
  {
    name: `sampling, ${SAMPLES} points of ${ROWS} rows of ${WIDTH}`,
    bytes: 4 * SAMPLES * ROWS * WIDTH,
    inputs: [random(POSITIONS, WIDTH), random(SAMPLES, ROWS)],
    f: (table, weight) => weightedRowSum(table, index, weight),
    backwardWork: 3,
  },
];

const matMul = matMulRate();
const copy = copyRate();
const rows: object[] = [];
const report = (name: string, seconds: number[], work: { flops?: number; bytes?: number }) => {
  const [best, middle] = [Math.min(...seconds), median(seconds)];
  const rate = (work.flops ?? work.bytes ?? 0) / best / 1e9;
  const share = rate / (work.flops ? matMul : copy);
  rows.push({
    name,
    best_ms: 1000 * best,
    median_ms: 1000 * middle,
    rate,
    unit: work.flops ? 'GFLOP/s' : 'GB/s',
    share,
  });
  if (flags.json) return;
  const unit = work.flops ? 'GFLOP/s' : 'GB/s';
  console.log(
    `${name.padEnd(52)} ${(1000 * best).toFixed(2).padStart(9)} ms  ${rate.toFixed(1).padStart(7)} ${unit.padEnd(8)}` +
      `${(100 * share).toFixed(0).padStart(4)} %`,
  );
};

if (!flags.json) {
  console.log(`${engine.description}; ${availableParallelism()} processors`);
  console.log(
    `best matMul ${matMul.toFixed(0)} GFLOP/s, best copy ${copy.toFixed(1)} GB/s (shares are of these)\n`,
  );
}
for (const { name, flops, bytes, inputs, f, backwardWork } of cases) {
  const forward = timeRuns(() => f(...inputs), runs);
  report(name, forward, { flops, bytes });
  if (backwardWork > 0) {
    const upstream = tf.tidy(() => tf.onesLike(f(...inputs)));
    const both = timeRuns(() => {
      let y: tf.Tensor | undefined;
      const { grads } = backward(() => {
        y = tf.keep(f(...inputs));
        // A loss whose gradient for y already exists.
        return differentiable(
          [y],
          () => tf.scalar(0),
          () => [upstream.clone()],
        ) as tf.Scalar;
      }, inputs);
      return [y as tf.Tensor, ...grads.filter((grad) => grad !== null)];
    }, runs);
    upstream.dispose();
    const times = 1 + backwardWork;
    report(`${name}, with gradients`, both, { flops: flops && flops * times, bytes: bytes && bytes * times });
  }
  tf.dispose(inputs);
}

// AdamW moves seven arrays: weight, gradient and two moments in, three of them out.
const parameters = Array.from({ length: 10 }, () => new Parameter([PARAMETERS / 10], () => {}));
for (const parameter of parameters) {
  parameter.set(new Float32Array(parameter.size));
  parameter.grad = random(parameter.size);
}
const params = parameters.map((parameter, i) => ({ name: `p${i}`, parameter }));
const optimizer = new AdamW([{ name: 'all', params }], {
  lr: 1e-4,
});
const updates: number[] = [];
for (let i = 0; i <= runs; i++) {
  const start = performance.now();
  optimizer.step();
  await sync();
  parameters[0].value.dataSync();
  if (i > 0) updates.push((performance.now() - start) / 1000);
}
report(`adamw, ${PARAMETERS / 1e6} M parameters`, updates, { bytes: 7 * 4 * PARAMETERS });
if (flags.json) console.log(JSON.stringify({ engine: engine.description, matMul, copy, rows }));
