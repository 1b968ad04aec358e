/**
 * @file Times what the host does in the training steps of the cuda engine: the GPU is a stand-in that computes nothing, so that
 * losses mean nothing. Needs Linux and g++.
 *
 *   npm run bench:cuda-host -- --config-file F [--batch B] [--height H] [--width W] [--boxes N] [--precision P] [--iters K]
 *                              [KEY VALUE …]
 *
 * STMIXER_CUDA_GRAPHS=0 launches the kernels one by one.
 */
import '../scripts/typescript_threads.mjs';
import { loadConfig } from '../src/config/index.js';
import { lazyStatistics } from '../src/engine/lazy_hints.js';
import { type ClipFlags, clipCommand } from './command.js';
import { mainThreadSeconds } from './machine.js';
import { randomBatch } from './random_batch.js';
import { median } from './statistics.js';
import { makeTrainingState, stepOf } from './training.js';

interface Flags extends ClipFlags {
  readonly precision: 'float32' | 'tf32' | 'bfloat16';
  readonly iters: number;
}

/** Steps before the timed ones: recorded, captured, and the first that run as CUDA graphs. */
const WARMUP = 6;
/** The stand-in's memory, which the host does not fill. */
const MEMORY_BYTES = 2 ** 34;

const command = clipCommand('bench:cuda-host')
  .option('--precision <name>', 'float32, tf32 or bfloat16', 'bfloat16')
  .option('--iters <n>', 'timed steps', Number, 20)
  .parse();
const flags = command.opts<Flags>();
const { config } = loadConfig(flags.configFile, command.args);

// The stand-in reads them when it is loaded.
Object.assign(process.env, {
  CUDA_ON_CPU_IDLE: '1',
  CUDA_ON_CPU_MEMORY: `${MEMORY_BYTES}`,
  CUDA_ON_CPU_QUEUE: '100000',
});
const { startCudaOnCpu } = await import('../test/cuda_on_cpu/start.js');
const { precision } = flags;
const { standIn } = await startCudaOnCpu({ precision, isDeterministic: config.ENGINE.DETERMINISTIC });
const step = stepOf(makeTrainingState(config), {
  clipGradNorm: config.SOLVER.CLIP_GRAD_NORM,
  replay: config.ENGINE.REPLAY,
});
const clips = randomBatch(config, flags);

const steps: { milliseconds: number; runMilliseconds: number; calls: number; graphs: number }[] = [];
for (let i = 0; i < WARMUP + flags.iters; i++) {
  const [start, counters, before] = [Number(mainThreadSeconds()), standIn.counters(), lazyStatistics()];
  await step(clips);
  const milliseconds = 1000 * (Number(mainThreadSeconds()) - start);
  const [after, statistics] = [standIn.counters(), lazyStatistics()];
  steps.push({
    milliseconds,
    runMilliseconds: 1000 * ((statistics?.runSeconds ?? 0) - (before?.runSeconds ?? 0)),
    calls: after.calls - counters.calls,
    graphs: after.graphLaunches - counters.graphLaunches,
  });
}
const timed = steps.slice(WARMUP);
const of = (name: keyof (typeof steps)[number]) => median(timed.map((values) => values[name]));
console.log({
  config: flags.configFile,
  precision,
  shape: clips.shape.slice(0, 4),
  main_thread_ms: of('milliseconds'),
  run_ms: of('runMilliseconds'),
  library_calls: of('calls'),
  graph_launches: of('graphs'),
});
process.exit(0);
