/** @file Steps of a made-up run with TensorBoard events, in a process of its own that may be ended at any time. */
import type { TrainingRun } from '../../src/training/hook.js';
import { TensorBoardHook } from '../../src/training/hooks/tensorboard.js';
import { tinyConfig } from './tiny_config.js';

const [folder, steps] = process.argv.slice(2);
const hook = new TensorBoardHook({
  folder,
  log: {
    warn: (_: unknown, text?: string) => console.log(`warning: ${text}`),
  } as ConstructorParameters<typeof TensorBoardHook>[0]['log'],
  configYaml: '',
  startIteration: 0,
  histogramPeriod: null,
  memory: () => ({ bytes: 0, tensors: 0, rssBytes: 0, peakBytes: 0 }),
  testSet: null,
});
const run = { cfg: tinyConfig(), startIteration: 0 } as TrainingRun;
for (let iteration = 1; iteration <= Number(steps); iteration++) {
  const terms = new Map([['loss_bce', iteration]]);
  await hook.afterStep(run, {
    iteration,
    total: iteration,
    terms,
    gradNorm: 1,
    lr: [1],
    seconds: 1,
    dataSeconds: 0,
    etaSeconds: 0,
  });
  if (iteration % 100 === 0) console.log(`done: ${iteration}`);
}
hook.close();
