/**
 * @file `npm run demo [-- --long] [KEY VALUE …]`: trains a small model on the clip in sample/, evaluates it on the
 * sample's validation seconds, draws what it finds there, and writes the report of the run.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConsoleReporter } from '../src/cli/console_reporter.js';
import { reportError } from '../src/cli/errors.js';
import { goOnWithoutOutput, watchOutput } from '../src/cli/output.js';
import { type LoadedConfig, loadConfig } from '../src/config/index.js';
import { detect } from '../src/detect/detect.js';
import { selectEngine } from '../src/engine/index.js';
import { writeReport } from '../src/report/write.js';
import { readEvaluations } from '../src/run/evaluations.js';
import { test } from '../src/training/evaluate_checkpoint.js';
import { train } from '../src/training/train.js';

const OUTPUT_DIR = join('output', process.argv.includes('--long') ? 'demo-long' : 'demo');
const root = fileURLToPath(new URL('..', import.meta.url));
const ENGINE = { engine: 'auto', device: 'auto', verbose: false } as const;
/** What the weights in checkpoints/ were made with: the same configuration, 3,000 iterations. */
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
        '`npx stmixer train --engine onnx …` says what is missing.\n',
    );
  }
  const file = join(root, 'config_files', small ? 'tiny.yaml' : 'sample.yaml');
  const longer = small ? ['SOLVER.MAX_EPOCH', '5'] : long ? LONG : [];
  const overrides = [...longer, ...args.filter((arg) => arg !== '--long')];
  const configure = (...more: string[]) =>
    loadConfig(file, [...overrides, 'OUTPUT_DIR', OUTPUT_DIR, ...more]);

  // A demo starts afresh. What it made in a minute is made again; what took half an hour stays.
  if (!long) rmSync(OUTPUT_DIR, { recursive: true, force: true });
  const { exitCode } = await train(configure(), {
    ...ENGINE,
    transfer: false,
    noHead: false,
    adjustLr: false,
    resume: false,
    overwrite: true,
    seed: 0,
    tensorBoard: false,
    tensorBoardHistograms: null,
    skipFinalTest: false,
    skipValidation: !long,
  });
  if (exitCode !== 0) return exitCode;

  const weights = join(OUTPUT_DIR, 'model_final.pth');
  if (long) await testOnTrainingFrames(configure, weights);
  await show(configure('MODEL.WEIGHT', weights));
  if (!long && !small) showTrained();
  return 0;
}

/** How well the model knows what it was trained on: with 30 key frames from one camera that is what it can learn. */
async function testOnTrainingFrames(
  configure: (...more: string[]) => LoadedConfig,
  weights: string,
): Promise<void> {
  console.log('\nOn the key frames that it was trained on:');
  const split = ['AVA.TEST_LISTS', "['train.csv']", 'AVA.TEST_GT_BOX_LISTS', "['train.csv']"];
  const output = ['OUTPUT_DIR', join(OUTPUT_DIR, 'on_training_frames')];
  await test(configure('MODEL.WEIGHT', weights, ...split, ...output), ENGINE);
}

/** Draws detections in the validation clip, writes the report, and says where they are. */
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
    '\nA minute is too short to learn it. What the long run (--long) made is in the repository:\n' +
      '  npx stmixer detect --config-file config_files/sample.yaml --input sample/frames/vtest_train \\\n' +
      '      --out output/detections MODEL.WEIGHT checkpoints/sample.pth',
  );
}

watchOutput();
goOnWithoutOutput(`what it makes is in ${OUTPUT_DIR}`);
try {
  process.exitCode = await demo(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error, false);
}
