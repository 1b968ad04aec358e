/**
 * @file Times whole training steps (forward, loss, backward, optimizer) on random input of a given size.
 *
 *   npm run bench:step -- --config-file F [--batch B] [--height H] [--width W] [--boxes N] [--iters K]
 *                         [--engine E] [--json] [KEY VALUE …]
 */
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { loadConfig } from '../src/config/index.js';
import type { Batch } from '../src/data/collate.js';
import { finishWork } from '../src/engine/ahead.js';
import { type EngineRequest, engineMemory, selectEngine } from '../src/engine/index.js';
import { SetCriterion } from '../src/loss/criterion.js';
import { Detector } from '../src/model/detector.js';
import { initializeParameters } from '../src/nn/module.js';
import { makeOptimizer } from '../src/solver/index.js';
import { computeGradients } from '../src/training/step.js';
import { Rng } from '../src/util/random.js';

interface Flags {
  configFile: string;
  batch: string;
  height: string;
  width: string;
  boxes: string;
  iters: string;
  engine: EngineRequest['engine'];
  json?: boolean;
}

/** Clips of noise with boxes spread over them. */
function randomBatch(B: number, T: number, H: number, W: number, boxes: number, classes: number): Batch {
  const rng = new Rng(1);
  const video = Float32Array.from({ length: B * T * H * W * 3 }, () => rng.uniformBetween(-2, 2));
  const clip = () => {
    const corners = Array.from({ length: boxes }, () => {
      const [x, y] = [rng.uniformBetween(0, 0.6 * W), rng.uniformBetween(0, 0.5 * H)];
      return [x, y, x + 0.3 * W, y + 0.5 * H];
    });
    const labels = Float32Array.from({ length: boxes * classes }, () => (rng.uniform() < 0.05 ? 1 : 0));
    return { boxes: Float32Array.from(corners.flat()), labels };
  };
  const clips = Array.from({ length: B }, clip);
  return {
    video,
    shape: [B, T, H, W, 3],
    whwh: Float32Array.from(clips.flatMap(() => [W, H, W, H])),
    boxes: clips.map((c) => c.boxes),
    labels: clips.map((c) => c.labels),
    clips: [],
  };
}

const seconds = (from: number) => (performance.now() - from) / 1000;
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const command = new Command('bench:step')
  .argument('[overrides...]')
  .requiredOption('--config-file <file>')
  .option('--batch <n>', 'clips', '1')
  .option('--height <pixels>', '', '256')
  .option('--width <pixels>', '', '352')
  .option('--boxes <n>', 'boxes per clip', '2')
  .option('--iters <n>', 'timed steps, after one that is not', '3')
  .option('--engine <name>', '', 'auto')
  .option('--json')
  .parse();
const flags = command.opts<Flags>();
const [batch, height, width, boxes, iters] = [
  flags.batch,
  flags.height,
  flags.width,
  flags.boxes,
  flags.iters,
].map(Number);

const { config } = loadConfig(flags.configFile, command.args);
const engine = await selectEngine({ engine: flags.engine, device: 'auto' });
const model = new Detector(config);
const criterion = new SetCriterion(config.MODEL.STM);
const optimizer = makeOptimizer(config, model);
initializeParameters(model, 0);
const data = randomBatch(
  batch,
  config.DATA.NUM_FRAMES,
  height,
  width,
  boxes,
  config.MODEL.STM.ACTION_CLASSES,
);

const gradient: number[] = [];
const update: number[] = [];
let first = 0;
for (let i = 0; i <= iters; i++) {
  const start = performance.now();
  const { total } = computeGradients(model, criterion, data, Rng.forName(0, `step ${i}`));
  const afterGradient = seconds(start);
  optimizer.step();
  optimizer.zeroGrad();
  await finishWork();
  // Reading a weight waits for an engine that works on its own.
  model.parameters()[0].value.dataSync();
  const whole = seconds(start);
  if (i === 0) first = whole;
  else {
    gradient.push(afterGradient);
    update.push(whole - afterGradient);
  }
  if (!flags.json) console.log(`step ${i}: ${whole.toFixed(2)} s, loss ${total.toFixed(4)}`);
}
const steps = gradient.map((value, i) => value + update[i]);
const result = {
  engine: engine.description,
  cores: availableParallelism(),
  config: flags.configFile,
  shape: [batch, config.DATA.NUM_FRAMES, height, width],
  first_seconds: first,
  min_seconds: Math.min(...steps),
  median_seconds: median(steps),
  gradient_seconds: median(gradient),
  optimizer_seconds: median(update),
  peak_bytes: process.resourceUsage().maxRSS * 1024,
  tensors: engineMemory().tensors,
};
console.log(flags.json ? JSON.stringify(result) : result);
