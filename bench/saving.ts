/**
 * @file Measures the cost of a checkpoint: how long the step waits, and how long steps take while it is written.
 *
 *   npm run bench:saving -- --config-file F [--height H] [--width W] [--steps N] [--folder DIR] [KEY VALUE …]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '../scripts/typescript_threads.mjs';
import { Checkpointer } from '../src/checkpoint/checkpointer.js';

import { loadConfig } from '../src/config/index.js';
import { selectEngine } from '../src/engine/index.js';
import { modelCommand } from './command.js';
import { randomBatch } from './random_batch.js';
import { median } from './statistics.js';
import { makeTrainingState, stepOf } from './training.js';

const command = modelCommand('bench:saving')
  .option('--height <pixels>', '', Number, 256)
  .option('--width <pixels>', '', Number, 352)
  .option('--steps <n>', 'steps without a save, and with', '3')
  .option('--folder <path>', 'on the disk to be measured', tmpdir())
  .parse();
const flags = command.opts();
const { config } = loadConfig(flags.configFile, command.args);
const engine = await selectEngine({ engine: 'auto', device: 'auto' });
const state = makeTrainingState(config);
const step = stepOf(state);
const { height, width } = flags;
const data = randomBatch(config, { batch: 1, height, width, boxes: 2 });
const folder = mkdtempSync(join(flags.folder, 'stmixer-saving-'));
const quiet = { info() {}, warn: console.warn, debug: console.log, error: console.error };
const saver = new Checkpointer(folder, {
  retrySeconds: 0,
  keep: 1,
  log: quiet,
});

const timed = async (work: () => Promise<unknown>) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
const steps = async () => {
  const times: number[] = [];
  for (let i = 0; i < Number(flags.steps); i++) times.push(await timed(() => step(data)));
  return times;
};
try {
  await step(data);
  const alone = await steps();
  const beside: number[] = [];
  const waits: number[] = [];
  const writes: number[] = [];
  for (let round = 1; round <= 3; round++) {
    let written: Promise<number> | undefined;
    state.iteration = round;
    waits.push(
      await timed(async () => {
        await saver.save(`model_${String(round).padStart(7, '0')}`, state.checkpoint());
        written = timed(() => saver.settle());
      }),
    );
    beside.push(...(await steps()));
    writes.push(await (written as unknown as Promise<number>));
  }
  const file = statSync(join(folder, 'model_0000003.pth')).size;
  const extra = Number(flags.steps) * Math.max(0, median(beside) - median(alone));
  const period = config.SOLVER.CHECKPOINT_PERIOD * config.SOLVER.ITER_PER_EPOCH;
  console.log({
    engine: engine.description,
    file_bytes: file,
    step_seconds: { alone: median(alone), beside_writing: median(beside) },
    seconds_waited_for_the_copy: waits,
    seconds_until_written: writes,
    steps_of_a_period: period,
    share_of_a_period: (median(waits) + extra) / (period * median(alone)),
    peak_bytes: process.resourceUsage().maxRSS * 1024,
  });
} finally {
  await saver.close();
  rmSync(folder, { recursive: true });
}
