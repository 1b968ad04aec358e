/**
 * @file Times the convolutions of the ResNet backbones with their batch norms, and their gradients, beside PyTorch's.
 *
 *   npm run bench:convolutions -- [--only slowonly,slow,fast] [--layers TEXT] [--rounds N] [--runs K] [--python FILE]
 *
 * Both programs take turns at each layer. PyTorch's maps are [B, C, T, H, W], as in the official code; its malloc is tuned as in
 * bench:compare. Figures are medians over rounds of medians over runs; in brackets is our time in units of PyTorch's.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { selectEngine } from '../src/engine/index.js';
import { countWindows } from '../src/engine/kernel_contract.js';
import { tf } from '../src/engine/tfjs.js';
import { runFusedKernel } from '../src/nn/fused.js';
import { timeRuns } from './machine.js';
import { TUNED_MALLOC } from './programs.js';
import { type ConvLayer, gigaflops, RESNET_LAYERS } from './resnet_layers.js';
import { median } from './statistics.js';

const KERNELS = ['forward', 'gradInput', 'gradFilter', 'norm', 'normGrad'] as const;
type Seconds = Record<(typeof KERNELS)[number], number>;

/** Work of one call in GFLOP from which on a run is one call; smaller kernels run several times, to hide what surrounds them. */
const RUN_GIGAFLOPS = 1;
const MAX_CALLS = 8;

const command = new Command('bench:convolutions')
  .option('--only <names>', 'backbones', 'slowonly')
  .option('--layers <text>', 'only layers whose name contains it', '')
  .option('--rounds <n>', '', Number, 3)
  .option('--runs <n>', 'runs of each kernel in a round', Number, 5)
  .option('--python <file>', 'Python with torch', process.env.STMIXER_PYTHON ?? 'python3')
  .parse();
const flags = command.opts<{ only: string; layers: string; rounds: number; runs: number; python: string }>();

const engine = await selectEngine({ engine: 'onnx', device: 'cpu' });
const pytorch = startPyTorch();
console.log(`${engine.description}; ${availableParallelism()} processors`);
for (const backbone of flags.only.split(',') as (keyof typeof RESNET_LAYERS)[]) {
  const layers = RESNET_LAYERS[backbone].filter(({ name }) => name.includes(flags.layers));
  await compare(backbone, layers);
}
pytorch.stop();

function startPyTorch() {
  const words = ['bench/convolutions.py', String(availableParallelism()), String(flags.runs)];
  const child = spawn(flags.python, words, {
    env: { ...process.env, ...TUNED_MALLOC },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async measure(layer: ConvLayer): Promise<Seconds> {
      child.stdin.write(`${JSON.stringify(layer)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${flags.python} bench/convolutions.py ended early`);
      return JSON.parse(value);
    },
    stop: () => child.stdin.end(),
  };
}

function measureOurs(layer: ConvLayer): Seconds {
  const { x: shape, out, kernel, stride, padding } = layer;
  const geometry = { stride, padding };
  const random = (...extents: readonly number[]) => tf.keep(tf.randomUniform([...extents], -1, 1));
  const [x, weight] = [random(...shape), random(out, shape[4], ...kernel)];
  const [y, dy] = [0, 0].map(() => random(shape[0], ...countWindows(shape, layer), out));
  const [scale, shift] = [tf.keep(tf.ones([out])), tf.keep(tf.zeros([out]))];
  const norm = { x: y, weight: scale, bias: shift };
  const [z, mean, variance] = runFusedKernel('BatchNorm', norm, { eps: 1e-5, relu: true }).map(tf.keep);
  const compute: Record<keyof Seconds, () => readonly tf.Tensor[]> = {
    forward: () => runFusedKernel('Conv3d', { x, weight }, { ...geometry, relu: false }),
    gradInput: () => runFusedKernel('Conv3dGradInput', { dy, weight }, { ...geometry, shape }),
    gradFilter: () => runFusedKernel('Conv3dGradFilter', { x, dy }, { ...geometry, kernel }),
    norm: () => runFusedKernel('BatchNorm', norm, { eps: 1e-5, relu: true }),
    normGrad: () =>
      runFusedKernel('BatchNormGrad', { dy, x: y, weight: scale, mean, variance, y: z }, { eps: 1e-5 }),
  };
  const calls = Math.min(MAX_CALLS, Math.max(1, Math.ceil(RUN_GIGAFLOPS / gigaflops(layer))));
  const seconds = KERNELS.map((name) => {
    const run = () => Array.from({ length: calls }, () => compute[name]()[0]);
    return [name, median(timeRuns(run, flags.runs)) / calls];
  });
  tf.dispose([x, weight, y, dy, scale, shift, z, mean, variance]);
  return Object.fromEntries(seconds);
}

async function compare(backbone: string, layers: readonly ConvLayer[]): Promise<void> {
  const all: { layer: ConvLayer; ours: Seconds[]; theirs: Seconds[] }[] = [];
  for (const layer of layers) all.push({ layer, ours: [], theirs: [] });
  for (let round = 0; round < flags.rounds; round++)
    for (const { layer, ours, theirs } of all) {
      ours.push(measureOurs(layer));
      theirs.push(await pytorch.measure(layer));
    }
  console.log(
    `\n${backbone}, milliseconds, GFLOP/s and ratio; convolution, its gradients, batch norm with ReLU, its gradient\n`,
  );
  const totals: number[][] = KERNELS.map(() => [0, 0]);
  for (const { layer, ours, theirs } of all) {
    const work = gigaflops(layer);
    const cells = KERNELS.map((name, i) => {
      // Nothing needs the gradient of the frames.
      if (layer.name === 'stem' && name === 'gradInput') return '–'.padStart(24);
      const [a, b] = [ours, theirs].map((rounds) => median(rounds.map((seconds) => seconds[name])));
      totals[i][0] += layer.count * a;
      totals[i][1] += layer.count * b;
      const rate = i < 3 ? ` ${(work / a).toFixed(0).padStart(4)} GFLOP/s` : '';
      return `${(1000 * a).toFixed(2).padStart(8)}${rate} (${(a / b).toFixed(2)})`;
    });
    console.log([`${layer.count} × ${layer.name}`.padEnd(16), ...cells].join(' '));
  }
  const sum = (i: number) => totals.reduce((total, pair) => total + pair[i], 0);
  const cells = totals.map(
    ([a, b]) => `${(1000 * a).toFixed(0)} of ${(1000 * b).toFixed(0)} (${(a / b).toFixed(2)})`,
  );
  console.log(['all of them', ...cells].join('  '));
  console.log(
    `${(1000 * sum(0)).toFixed(0)} ms, PyTorch ${(1000 * sum(1)).toFixed(0)} ms: ${(sum(0) / sum(1)).toFixed(2)}`,
  );
}
