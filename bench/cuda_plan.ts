/**
 * @file Lists the launches of a training step on a GPU without one: how many there are, what they read, write and compute, and the
 * time that the bandwidth and the rate of a card allow at best.
 *
 *   npm run bench:cuda-plan -- --config-file F [--batch B] [--height H] [--width W] [--boxes N] [--precision P] [--no-cudnn]
 *                              [--top N] [--json] [KEY VALUE …]
 */
import '../scripts/typescript_threads.mjs';
import { loadConfig } from '../src/config/index.js';
import type { Launch, Program } from '../src/engine/cuda/compile/program.js';
import { assumedPlan } from '../src/engine/cuda/cudnn/assumed_plan.js';
import { cudaDryEngine } from '../src/engine/cuda/dry_engine.js';
import type { Policy } from '../src/engine/cuda/kernels/lowering.js';
import { dryRun } from '../src/engine/dry_run/dry_run.js';
import { necessaryFlops } from '../src/model/flops.js';
import { type ClipFlags, clipCommand } from './command.js';
import { randomBatch } from './random_batch.js';
import { makeTrainingState, stepOf } from './training.js';

/** Bandwidth in bytes and dense rates in operations per second, from NVIDIA's data sheets. */
const CARDS = {
  A100: { bandwidth: 2.039e12, bfloat16: 312e12, tf32: 156e12, float32: 19.5e12 },
  H100: { bandwidth: 3.35e12, bfloat16: 989e12, tf32: 495e12, float32: 67e12 },
} as const;
type Card = keyof typeof CARDS;

interface Flags extends ClipFlags {
  readonly precision: 'float32' | 'tf32' | 'bfloat16';
  readonly top: number;
  readonly cudnn: boolean;
  readonly json?: boolean;
}

const command = clipCommand('bench:cuda-plan')
  .option('--precision <name>', 'float32, tf32 or bfloat16', 'bfloat16')
  .option('--top <n>', 'groups of launches that are listed', Number, 25)
  .option('--no-cudnn', 'without its plans')
  .option('--json', 'print one line of JSON')
  .parse();
const flags = command.opts<Flags>();
const { config } = loadConfig(flags.configFile, command.args);
const { batch, height, width } = flags;
const { NUM_FRAMES } = config.DATA;

/** The rate at which a launch computes. */
function rateOf(launch: Launch, card: Card): number {
  const rates = CARDS[card];
  if (launch.kind === 'plan') return rates[flags.precision];
  if (launch.kind !== 'gemm') return rates.float32;
  if (launch.gemm.a.storage === 'bfloat16') return rates.bfloat16;
  return rates[launch.gemm.compute];
}

/** Seconds that a launch takes at least. */
function floorOf(launch: Launch, card: Card): number {
  const { bytes, flops } = launch.cost;
  return Math.max(bytes / CARDS[card].bandwidth, flops / rateOf(launch, card));
}

/** Kind and operations of a launch, without their numbers. */
function groupOf({ kind, label }: Launch): string {
  const operations = new Set(label.split(', ').map((part) => part.replace(/ \d+$/, '')));
  return `${kind} ${[...operations].sort().join(' ')}`;
}

function groupBy(list: readonly Launch[], keyOf: (launch: Launch) => string): Map<string, Launch[]> {
  const map = new Map<string, Launch[]>();
  for (const launch of list) map.set(keyOf(launch), [...(map.get(keyOf(launch)) ?? []), launch]);
  return map;
}

let programs: Program[] = [];
const isDeterministic = config.ENGINE.DETERMINISTIC;
const policy: Policy = {
  precision: flags.precision,
  isDeterministic,
  hasAlgorithm: () => true,
  findPlan: (computation) => (flags.cudnn ? assumedPlan({ ...computation, isDeterministic }) : null),
};
await dryRun(
  async () => {
    const data = randomBatch(config, flags);
    const state = makeTrainingState(config);
    const step = stepOf(state, { replay: false });
    // The first step makes the optimizer's state.
    await step(data);
    programs = [];
    await step(data);
  },
  { engine: cudaDryEngine(policy, (program) => programs.push(program)) },
);

const launches = programs.flatMap((program) => program.launches);
const groups = groupBy(launches, groupOf);
const sum = (list: readonly Launch[], of: (launch: Launch) => number) =>
  list.reduce((total, launch) => total + of(launch), 0);
const matrixFlops = necessaryFlops(config, batch, height, width);
const summary = {
  config: flags.configFile,
  precision: flags.precision,
  shape: [batch, NUM_FRAMES, height, width],
  programs: programs.length,
  launches: launches.length,
  by_kind: Object.fromEntries(
    [...groupBy(launches, ({ kind }) => kind)].map(([kind, list]) => [kind, list.length]),
  ),
  gigabytes: sum(launches, ({ cost }) => cost.bytes) / 1e9,
  necessary_gflop: matrixFlops / 1e9,
  ...Object.fromEntries(
    (Object.keys(CARDS) as Card[]).map((card) => {
      const floor = sum(launches, (launch) => floorOf(launch, card));
      const matrix = matrixFlops / CARDS[card][flags.precision];
      return [card, { floor_ms: 1e3 * floor, matrix_ms: 1e3 * matrix, ratio: floor / matrix }];
    }),
  ),
};
console.log(flags.json ? JSON.stringify(summary) : summary);
if (!flags.json) {
  const rows = [...groups].map(([group, list]) => ({
    launches: list.length,
    MB: Math.round(sum(list, ({ cost }) => cost.bytes) / 1e6),
    GFLOP: Math.round(sum(list, ({ cost }) => cost.flops) / 1e9),
    'A100 µs': Math.round(1e6 * sum(list, (launch) => floorOf(launch, 'A100'))),
    'H100 µs': Math.round(1e6 * sum(list, (launch) => floorOf(launch, 'H100'))),
    group: group.slice(0, 90),
  }));
  console.table(rows.sort((a, b) => b['H100 µs'] - a['H100 µs']).slice(0, flags.top));
  console.table(rows.sort((a, b) => b.launches - a.launches).slice(0, flags.top));
}
