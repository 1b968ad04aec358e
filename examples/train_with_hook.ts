/**
 * @file Trains the tiny model and ends as soon as the loss is low enough.
 *
 *   npx tsx --import ./scripts/typescript_threads.mjs examples/train_with_hook.ts [OUTPUT_DIR]
 */
import { type Hook, loadConfig, RunLog, type StepReport, type TrainingRun, train } from 'stmixer';

const [outputDir = 'output/example_training'] = process.argv.slice(2);
const stopping = new AbortController();

class StopAtLoss implements Hook {
  constructor(private readonly target: number) {}

  afterStep(_run: TrainingRun, { total, iteration }: StepReport): void {
    if (total > this.target) return;
    stopping.abort(new Error(`The loss is ${total.toFixed(3)} after ${iteration} iterations: stopping`));
  }
}

const result = await train(loadConfig('config_files/tiny.yaml', ['OUTPUT_DIR', outputDir]), {
  overwrite: true,
  skipFinalTest: true,
  hooks: [new StopAtLoss(1.9)],
  signal: stopping.signal,
  log: new RunLog({ console: process.stdout }),
});
console.log(`${result.iteration} iterations: loss ${result.firstLoss} → ${result.lastLoss}`);
