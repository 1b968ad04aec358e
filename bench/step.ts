/**
 * @file Times whole training steps (forward, loss, backward, optimizer) on random input of a given size, or forward passes as
 * evaluation runs them.
 *
 *   npm run bench:step -- --config-file F [--batch B] [--accumulate A] [--height H] [--width W] [--boxes N]
 *                         [--warmup K] [--iters K] [--engine E] [--device D] [--forward] [--idle-gpu] [--json]
 *                         [KEY VALUE …]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import '../scripts/typescript_threads.mjs';
import { loadConfig } from '../src/config/index.js';
import { type EngineRequest, engineSettings, selectEngine } from '../src/engine/index.js';
import { type LazyStatistics, lazyStatistics } from '../src/engine/lazy_hints.js';
import { forwardFlops, necessaryFlops } from '../src/model/flops.js';
import { type LayerCounts, vulkanLayer } from '../tools/vulkan_layer/index.js';
import { type ClipFlags, clipCommand } from './command.js';
import { mainThreadSeconds, matMulRate } from './machine.js';
import { randomBatch } from './random_batch.js';
import { median } from './statistics.js';
import { detectionOf, makeTrainingState, stepOf } from './training.js';

interface Flags extends ClipFlags {
  readonly accumulate: number;
  readonly warmup: number;
  readonly iters: number;
  readonly engine: EngineRequest['engine'];
  readonly device: EngineRequest['device'];
  readonly forward?: boolean;
  readonly idleGpu?: boolean;
  readonly json?: boolean;
}

const seconds = (from: number) => (performance.now() - from) / 1000;

const command = clipCommand('bench:step')
  .option('--accumulate <n>', 'batches of a step', Number, 1)
  .option(
    '--warmup <n>',
    'steps before the timed ones, at least 1; the fourth is the first that is replayed',
    Number,
    3,
  )
  .option('--iters <n>', 'timed steps', Number, 3)
  .option('--engine <name>', '', 'auto')
  .option('--device <name>', '', 'auto')
  .option('--forward', 'time forward passes in evaluation mode, without gradients')
  .option('--idle-gpu', 'let the GPU compute nothing, to time the work of the host; count its buffers')
  .option('--json')
  .parse();
const flags = command.opts<Flags>();
const { batch: atOnce, accumulate, height, width, warmup, iters } = flags;

/** What the idle GPU was asked for. */
const gpuReport = flags.idleGpu ? useIdleGpu() : null;
const gpuCounts = (): LayerCounts | null => gpuReport && JSON.parse(readFileSync(gpuReport, 'utf8'));

const { config } = loadConfig(flags.configFile, command.args);
const { precision, isDeterministic } = engineSettings(config);
const engine = await selectEngine({
  engine: flags.engine,
  device: flags.device,
  precision,
  isDeterministic,
  strict: true,
});
const batch = atOnce * accumulate;
const { CLIP_GRAD_NORM } = config.SOLVER;
const { REPLAY: replay } = config.ENGINE;
const state = makeTrainingState(config);
const options = { microBatchSize: atOnce, clipGradNorm: CLIP_GRAD_NORM, replay };
const run = flags.forward ? detectionOf(state, options) : stepOf(state, options);
const data = randomBatch(config, { ...flags, batch });

const matMul = matMulRate();
const flops = (flags.forward ? forwardFlops : necessaryFlops)(config, batch, height, width);
/** Cost of one step: seconds in total, in compiled graphs and in compilation; graphs, nodes; seconds by part. */
const steps: {
  whole: number;
  work: LazyStatistics | null;
  onMainThread: number | undefined;
  parts: Record<string, number>;
}[] = [];
let countsBefore = gpuCounts();
for (let i = 0; i < warmup + iters; i++) {
  if (i === warmup) countsBefore = gpuCounts();
  const before = lazyStatistics();
  const start = performance.now();
  const processor = mainThreadSeconds();
  const result = await run(data);
  const whole = seconds(start);
  const onMainThread = processor === null ? undefined : Number(mainThreadSeconds()) - processor;
  const work = difference(lazyStatistics(), before);
  steps.push({ whole, work, onMainThread, parts: work?.regionSeconds ?? {} });
  const outcome = flags.forward ? `${result} boxes` : `loss ${result.toFixed(4)}`;
  if (!flags.json) console.log(`step ${i}: ${whole.toFixed(2)} s, ${outcome}`);
}
const [first] = steps;
const timed = steps.slice(warmup);
const times = timed.map(({ whole }) => whole);
const of = (measure: (step: (typeof steps)[number]) => number | undefined) => {
  const values = timed.map(measure).filter((value) => value !== undefined);
  return values.length ? median(values) : null;
};
const partNames = Object.keys(first.parts);
const result = {
  engine: engine.description,
  cores: availableParallelism(),
  config: flags.configFile,
  accumulate,
  shape: [batch, config.DATA.NUM_FRAMES, height, width],
  parameters: state.model.parameters().reduce((sum, { size }) => sum + size, 0),
  seconds: times,
  min_seconds: Math.min(...times),
  median_seconds: median(times),
  part_seconds: Object.fromEntries(partNames.map((name) => [name, of(({ parts }) => parts[name])])),
  necessary_gflop: flops / 1e9,
  matmul_gflop_per_second: matMul,
  share_of_matmul_rate: flops / 1e9 / median(times) / matMul,
  peak_bytes: process.resourceUsage().maxRSS * 1024,
  first_seconds: first.whole,
  first_compile_seconds: first.work?.compileSeconds ?? null,
  /** Time in JavaScript: tracing, planning, feeding. */
  javascript_seconds: of(({ whole, work }) =>
    work ? whole - work.runSeconds - work.compileSeconds - work.readSeconds : undefined,
  ),
  /** Processor time of the main thread, which other threads on the same cores do not disturb. */
  main_thread_seconds: of(({ onMainThread }) => onMainThread),
  /** Time in which reads wait for a GPU. */
  read_seconds: of(({ work }) => work?.readSeconds),
  recorded: of(({ work }) => work?.recorded),
  graphs: of(({ work }) => work?.graphs),
  nodes: of(({ work }) => work?.nodes),
  compiled_after_first: steps.slice(1).reduce((sum, { work }) => sum + (work?.compiled ?? 0), 0),
  precision,
  tensors: engine.memory().tensors,
  gpu_bytes: engine.memory().gpuBytes,
  ...gpuWork(countsBefore, gpuCounts()),
};
console.log(flags.json ? JSON.stringify(result) : result);

/** Makes this process use a GPU that computes nothing. Returns the file with its counts. */
function useIdleGpu(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stmixer-bench-'));
  const report = join(folder, 'counts.json');
  const environment = vulkanLayer(folder, { isIdle: true, report });
  process.once('exit', () => rmSync(folder, { recursive: true }));
  if (environment === null) throw new Error('--idle-gpu needs a C compiler');
  Object.assign(process.env, environment);
  return report;
}

/** Peak memory of the GPU, and what a timed step asked it for. */
function gpuWork(before: LayerCounts | null, after: LayerCounts | null) {
  if (!before || !after) return {};
  const perStep = (count: 'allocations' | 'buffers' | 'dispatches') => (after[count] - before[count]) / iters;
  return {
    gpu_peak_bytes: after.peakBytes,
    gpu_allocations: perStep('allocations'),
    gpu_buffers: perStep('buffers'),
    gpu_dispatches: perStep('dispatches'),
  };
}

/** The difference between two readings. */
function difference(after: LazyStatistics | null, before: LazyStatistics | null): LazyStatistics | null {
  if (!after || !before) return null;
  const less = (a: Record<string, number>, b: Record<string, number>) =>
    Object.fromEntries(Object.entries(a).map(([name, value]) => [name, value - (b[name] ?? 0)]));
  const { regionSeconds, ...numbers } = after;
  const { regionSeconds: earlier, ...numbersBefore } = before;
  return { ...less(numbers, numbersBefore), regionSeconds: less(regionSeconds, earlier) } as LazyStatistics;
}
