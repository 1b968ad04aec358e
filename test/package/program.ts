/**
 * @file A program that uses the installed package: scripts/test-package.sh compiles it against the package's types and runs it
 * outside the repository, with a configuration file as its argument.
 */
import {
  type Batch,
  computeGradients,
  Detector,
  initializeParameters,
  loadConfig,
  makeLrScheduler,
  makeOptimizer,
  Rng,
  SetCriterion,
  selectEngine,
} from 'stmixer';

const { config } = loadConfig(process.argv[2], []);
await selectEngine({ engine: 'onnx', device: 'cpu' });
const model = new Detector(config);
initializeParameters(model, 0);
const criterion = new SetCriterion(config.MODEL.STM);
const optimizer = makeOptimizer(config, model);
const scheduler = makeLrScheduler(config, optimizer);
const rng = new Rng(0);

/** One clip of noise with a box around a person who does the first action. */
function randomBatch(size: number): Batch {
  const frames = config.DATA.NUM_FRAMES;
  const labels = new Float32Array(config.MODEL.STM.ACTION_CLASSES);
  labels[0] = 1;
  return {
    video: Float32Array.from({ length: frames * size * size * 3 }, () => rng.uniformBetween(-2, 2)),
    shape: [1, frames, size, size, 3],
    whwh: Float32Array.of(size, size, size, size),
    boxes: [Float32Array.of(0.2 * size, 0.2 * size, 0.6 * size, 0.9 * size)],
    labels: [labels],
    clips: [],
  };
}

const batch = randomBatch(64);
const losses: number[] = [];
for (let step = 0; step < 3; step++) {
  const { total } = await computeGradients({ model, criterion }, batch, { rng });
  optimizer.step();
  scheduler.step();
  losses.push(total);
}
if (!losses.every(Number.isFinite)) throw new Error(`the losses are not finite: ${losses}`);
console.log(`program.ts: losses ${losses.map((loss) => loss.toFixed(4)).join(', ')}`);
