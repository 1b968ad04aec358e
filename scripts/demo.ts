/**
 * @file `npm run demo [-- --long] [KEY VALUE …]`: trains a small model on the clip in sample/, evaluates it on the
 * sample's validation seconds, draws what it finds there, and writes the report of the run.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './typescript_threads.mjs';
import { openConsole } from '../src/cli/console.js';
import { ConsoleReporter } from '../src/cli/console_reporter.js';
import { reportError } from '../src/cli/errors.js';
import { continueWithoutOutput, watchOutput } from '../src/cli/output.js';
import { againHint, StopSignals } from '../src/cli/process/signals.js';
import { type LoadedConfig, loadConfig } from '../src/config/index.js';
import { detect } from '../src/detect/detect.js';
import { selectEngine } from '../src/engine/index.js';
import { resultsTable } from '../src/evaluation/results.js';
import { writeReport } from '../src/report/write.js';
import { readEvaluations } from '../src/run/evaluations.js';
import { evaluateCheckpoint } from '../src/training/evaluate_checkpoint.js';
import { train } from '../src/training/train.js';

const OUTPUT_DIR = join('output', process.argv.includes('--long') ? 'demo-long' : 'demo');
const root = fileURLToPath(new URL('..', import.meta.url));
const ENGINE = { engine: 'auto', device: 'auto', verbose: false } as const;
/** Settings that made the weights in checkpoints/: the same configuration, 3,000 iterations. */
const LONG =
  'SOLVER.MAX_EPOCH 200 SOLVER.SCHEDULER half_period_cosine SOLVER.CHECKPOINT_PERIOD 50 SOLVER.EVAL_PERIOD 20'.split(
    ' ',
  );

async function demo(args: string[]): Promise<number> {
  const long = args.includes('--long');
  const { engine } = await selectEngine(ENGINE);
  const small = engine === 'cpu';
  if (small) {
    console.log(
      'No fast engine runs here, so this demo trains a tiny model for a few steps in plain JavaScript.\n' +
        '`npx stmixer train --engine onnx …` shows what is missing.\n',
    );
  }
  const file = join(root, 'config_files', small ? 'tiny.yaml' : 'sample.yaml');
  const longer = small ? ['SOLVER.MAX_EPOCH', '5'] : long ? LONG : [];
  const overrides = [...longer, ...args.filter((arg) => arg !== '--long')];
  const configure = (...more: string[]) =>
    loadConfig(file, [...overrides, 'OUTPUT_DIR', OUTPUT_DIR, ...more]);

  // The short demo starts over. The long one takes half an hour, so its earlier results are kept.
  if (!long) rmSync(OUTPUT_DIR, { recursive: true, force: true });
  const stop = new StopSignals((signal) => `${signal}: finishing this step and saving${againHint(signal)}`);
  await train(configure(), {
    ...ENGINE,
    ...openConsole(false),
    overwrite: true,
    seed: 0,
    skipValidation: !long,
    signal: stop.signal,
  });
  stop.close();
  if (stop.received) return stop.exitCode;

  const weights = join(OUTPUT_DIR, 'model_final.pth');
  if (long) await testOnTrainingFrames(configure, weights);
  await show(configure('MODEL.WEIGHT', weights));
  if (!long && !small) showTrained();
  return 0;
}

/** Evaluates on the training frames as well: 30 key frames from one camera are too few to do well on others. */
async function testOnTrainingFrames(
  configure: (...more: string[]) => LoadedConfig,
  weights: string,
): Promise<void> {
  console.log('\nOn the key frames that it was trained on:');
  const split = ['AVA.TEST_LISTS', "['train.csv']", 'AVA.TEST_GT_BOX_LISTS', "['train.csv']"];
  const output = ['OUTPUT_DIR', join(OUTPUT_DIR, 'on_training_frames')];
  const { log } = openConsole(false);
  const report = await evaluateCheckpoint(configure('MODEL.WEIGHT', weights, ...split, ...output), {
    ...ENGINE,
    log,
  });
  if (report) console.log(resultsTable(report.results));
}

/** Draws detections in the validation clip, writes the report, and prints the paths. */
async function show(loaded: LoadedConfig): Promise<void> {
  const { config } = loaded;
  const frames = join(config.DATA.PATH_TO_DATA_DIR, config.AVA.FRAME_DIR);
  const input = join(frames, readdirSync(frames).find((name) => name.endsWith('_val'))!);
  const out = join(OUTPUT_DIR, 'detections');
  const report = new ConsoleReporter();
  console.log('\nPeople and actions in the validation clip:');
  const { people, keyFrames } = await detect(config, { ...ENGINE, input, out, report });
  report.close();
  console.log(`${people} people at ${keyFrames} key frames; see ${out}`);
  const { html } = await writeReport(OUTPUT_DIR);
  const mAP = readEvaluations(OUTPUT_DIR).at(-1)?.mAP ?? 0;
  console.log(
    [
      '',
      `mAP@0.5 on the validation seconds   ${mAP.toFixed(4)}`,
      `report                              ${html}`,
      `detections, drawn                   ${out}`,
      `weights, log and metrics            ${OUTPUT_DIR}`,
    ].join('\n'),
  );
}

function showTrained(): void {
  console.log(
    '\nA minute of training is too short. The weights of the long run (--long) are in the repository:\n' +
      '  npx stmixer detect --config-file config_files/sample.yaml --input sample/frames/vtest_train \\\n' +
      '      --out output/detections MODEL.WEIGHT checkpoints/sample.pth',
  );
}

watchOutput();
continueWithoutOutput(`the results are in ${OUTPUT_DIR}`);
try {
  process.exitCode = await demo(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error, false);
}
