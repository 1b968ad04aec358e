/**
 * @file Fine-tunes a trained model with a loop written by hand, and saves its weights.
 *
 *   npx tsx --import ./scripts/typescript_threads.mjs examples/fine_tune_loop.ts [WEIGHTS] [OUTPUT_FILE]
 */
import {
  AdamW,
  computeGradients,
  createTrainLoader,
  Detector,
  loadConfig,
  loadModelWeights,
  SetCriterion,
  saveModelWeights,
  selectEngine,
  stepRng,
} from 'stmixer';

const [weights = 'checkpoints/sample.pth', output = 'output/example_weights.pth'] = process.argv.slice(2);
const { config } = loadConfig('config_files/sample.yaml', [
  'SOLVER.MAX_EPOCH',
  '1',
  'SOLVER.ITER_PER_EPOCH',
  '3',
]);
await selectEngine({ engine: 'auto', device: 'auto' });
const model = new Detector(config).train();
loadModelWeights(model, weights);
const criterion = new SetCriterion(config.MODEL.STM);
const optimizer = new AdamW(model.parameters(), { lr: 1e-5, weightDecay: 1e-4 });
let iteration = 0;
for await (const batch of createTrainLoader(config, { seed: 0 })) {
  const options = { rng: stepRng(0, ++iteration) };
  const { total, gradNorm } = await computeGradients({ model, criterion }, batch, options);
  optimizer.step();
  optimizer.zeroGrad();
  console.log(`iteration ${iteration}: loss ${total.toFixed(3)}, gradient norm ${gradNorm.toFixed(2)}`);
}
await saveModelWeights(model, output);
