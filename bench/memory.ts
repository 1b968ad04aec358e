/**
 * @file Trains on clips of changing size and prints the memory in use, which must stay flat.
 *
 *   npm run bench:memory -- --config-file F [--minutes M] [--batch B] [--sizes N] [KEY VALUE …]
 */
import '../scripts/typescript_threads.mjs';
import { loadConfig } from '../src/config/index.js';
import { selectEngine } from '../src/engine/index.js';
import { lazyStatistics } from '../src/engine/lazy_hints.js';
import { Rng } from '../src/util/random.js';
import { modelCommand } from './command.js';
import { randomBatch } from './random_batch.js';
import { makeTraining } from './training.js';

/** Sides of clips are multiples of this many pixels. */
const PIXELS = 32;

const command = modelCommand('bench:memory')
  .option('--minutes <n>', '', '10')
  .option('--batch <n>', 'clips', '1')
  .option('--sizes <n>', 'different heights, and as many widths', '4')
  .option('--smallest <pixels>', '', '64')
  .option('--engine <name>', '', 'auto')
  .parse();
const flags = command.opts();
const [minutes, batch, sizes, smallest] = [flags.minutes, flags.batch, flags.sizes, flags.smallest].map(
  Number,
);

const { config } = loadConfig(flags.configFile, command.args);
const engine = await selectEngine({ engine: flags.engine, device: 'auto' });
const train = makeTraining(config);
console.log(engine.description);
console.log('minutes  steps  sizes seen  graphs compiled  tensors  resident MiB  peak MiB');

const rng = new Rng(7);
const seen = new Set<string>();
const begin = performance.now();
let next = 0;
for (let step = 1; performance.now() - begin < 60_000 * minutes; step++) {
  const side = () => smallest + PIXELS * Math.floor(sizes * rng.uniform());
  const [height, width, boxes] = [side(), side(), Math.floor(5 * rng.uniform())];
  seen.add(`${height}×${width}`);
  const data = randomBatch(config, { batch, height, width, boxes });
  await train(data);
  const passed = (performance.now() - begin) / 60_000;
  if (passed < next) continue;
  next = Math.floor(20 * (passed / minutes) + 1) * (minutes / 20);
  const { tensors, rssBytes, peakBytes } = engine.memory();
  const row = [
    passed.toFixed(1),
    step,
    seen.size,
    lazyStatistics()?.compiled ?? '',
    tensors,
    Math.round(rssBytes / 2 ** 20),
    Math.round(peakBytes / 2 ** 20),
  ];
  const widths = [7, 7, 12, 17, 9, 14, 10];
  console.log(row.map((value, i) => String(value).padStart(widths[i])).join(''));
}
