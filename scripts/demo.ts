/**
 * @file `npm run demo [-- --long] [KEY VALUE …]`: fine-tunes weights that come with the repository on key frames that they have
 * not seen, compares the precision before and after, draws what is found, and writes the report of the run.
 */
import { rmSync } from 'node:fs';
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
import type { AvaResults } from '../src/evaluation/types.js';
import { writeReport } from '../src/report/write.js';
import { evaluateCheckpoint } from '../src/training/evaluate_checkpoint.js';
import { train } from '../src/training/train.js';

const isLong = process.argv.includes('--long');
const OUTPUT_DIR = join('output', isLong ? 'demo-long' : 'demo');
const root = fileURLToPath(new URL('..', import.meta.url));
const ENGINE = { engine: 'auto', device: 'auto', verbose: false } as const;

type Configure = (...overrides: string[]) => LoadedConfig;

/** Names of the lists of key frames, with their titles in the results. */
type Lists = readonly (readonly [name: string, title: string])[];

interface Demo {
  readonly file: string;
  readonly overrides: string;
  readonly about: string;
  /** Whether it starts from the weights that the configuration names. */
  readonly fineTunes: boolean;
  readonly lists: Lists;
}

const FINE_TUNING: Demo = {
  file: 'sample_finetune.yaml',
  overrides: '',
  about: `
Shipped: checkpoints/sample.pth, a small model that was trained on the first half of the clip in sample/.
         It has not seen the second half.
Learned: ten key frames of the second half, labelled by hand, in 50 iterations. As a command, this is
         stmixer train --config-file config_files/sample_finetune.yaml --transfer
`,
  fineTunes: true,
  lists: [['val', 'the ten key frames of this training']],
};

const FROM_RANDOM_WEIGHTS: Demo = {
  file: 'sample.yaml',
  // These settings gave checkpoints/sample.pth.
  overrides:
    'SOLVER.MAX_EPOCH 200 SOLVER.SCHEDULER half_period_cosine SOLVER.CHECKPOINT_PERIOD 50 SOLVER.EVAL_PERIOD 20',
  about: `
This trains a small model from random weights on the first half of the clip in sample/, for 3,000 iterations. That takes
about an hour on two cores. The result is like checkpoints/sample.pth.
`,
  fineTunes: false,
  lists: [
    ['train', 'the 30 key frames of this training'],
    ['val', '10 other key frames, 20 seconds later'],
  ],
};

const PLAIN_JAVASCRIPT: Demo = {
  file: 'tiny.yaml',
  overrides: 'SOLVER.MAX_EPOCH 5',
  about: `
No fast engine runs here, so this trains a tiny model for a few steps in plain JavaScript. It learns nothing.
\`npx stmixer doctor\` shows what is missing.
`,
  fineTunes: false,
  lists: [['val', 'ten key frames']],
};

async function main(args: string[]): Promise<number> {
  const { engine } = await selectEngine(ENGINE);
  const demo = engine === 'cpu' ? PLAIN_JAVASCRIPT : isLong ? FROM_RANDOM_WEIGHTS : FINE_TUNING;
  const overrides = [...demo.overrides.split(' ').filter(Boolean), ...args.filter((arg) => arg !== '--long')];
  const configure: Configure = (...more) =>
    loadConfig(join(root, 'config_files', demo.file), [...overrides, 'OUTPUT_DIR', OUTPUT_DIR, ...more]);
  console.log(demo.about);
  // The short demo starts over. The long one takes an hour, so its earlier results are kept.
  if (!isLong) rmSync(OUTPUT_DIR, { recursive: true, force: true });
  const shipped = configure().config.MODEL.WEIGHT;
  const before = demo.fineTunes ? await measure(configure, demo.lists, shipped, 'shipped') : [];
  const stop = new StopSignals((signal) => `${signal}: finishing this step and saving${againHint(signal)}`);
  await train(configure(), {
    ...ENGINE,
    ...openConsole(false),
    overwrite: true,
    transfer: demo.fineTunes,
    seed: 0,
    skipValidation: !isLong,
    skipFinalTest: true,
    signal: stop.signal,
  });
  stop.close();
  if (stop.received) return stop.exitCode;
  const weights = join(OUTPUT_DIR, 'model_final.pth');
  const after = await measure(configure, demo.lists, weights, '.');
  await show(configure, weights);
  console.log(resultsTable(demo.lists, before, after));
  return 0;
}

/** Evaluates weights on each list. The last list leaves its results in `folder`, the others beside it. */
async function measure(
  configure: Configure,
  lists: Lists,
  weights: string,
  folder: string,
): Promise<AvaResults[]> {
  const results: AvaResults[] = [];
  for (const [name] of lists) {
    const part = name === lists.at(-1)?.[0] ? folder : `${folder}_on_${name}`;
    const list = ['AVA.TEST_LISTS', `['${name}.csv']`, 'AVA.TEST_GT_BOX_LISTS', `['${name}.csv']`];
    const output = ['OUTPUT_DIR', join(OUTPUT_DIR, part)];
    const report = await evaluateCheckpoint(configure('MODEL.WEIGHT', weights, ...list, ...output), ENGINE);
    if (report) results.push(report.results);
  }
  return results;
}

/** Average precision of the classes after the training, and before it if that was measured. */
function resultsTable(lists: Lists, before: readonly AvaResults[], after: readonly AvaResults[]): string {
  const row = (name: string, ...values: (number | null)[]) =>
    `  ${name.padEnd(26)}${values.map((value) => (value ?? 0).toFixed(3).padStart(9)).join('')}`;
  const tables = lists.flatMap(([, title], i) => [
    `average precision at IoU 0.5 on ${title}`,
    `${' '.repeat(28)}${before[i] ? '  shipped' : ''}  learned`,
    ...after[i].perClass.map(({ name, ap }, j) =>
      row(name, ...(before[i] ? [before[i].perClass[j].ap] : []), ap),
    ),
    row('mAP', ...(before[i] ? [before[i].mAP] : []), after[i].mAP),
    '',
  ]);
  return ['', ...tables].join('\n');
}

/** Draws detections in the second half of the clip, writes the report, and prints the paths. */
async function show(configure: Configure, weights: string): Promise<void> {
  const { config } = configure();
  const input = join(config.DATA.PATH_TO_DATA_DIR, config.AVA.FRAME_DIR, 'vtest_val');
  const out = join(OUTPUT_DIR, 'detections');
  const report = new ConsoleReporter();
  console.log('\nPeople and actions in the second half of the clip:');
  const { people, keyFrames } = await detect(config, { ...ENGINE, input, out, weights, report });
  report.close();
  const { html } = await writeReport(OUTPUT_DIR);
  console.log(
    [
      `${people} people at ${keyFrames} key frames`,
      '',
      `detections, drawn          ${out}`,
      `report                     ${html}`,
      `weights, log and metrics   ${OUTPUT_DIR}`,
    ].join('\n'),
  );
}

watchOutput();
continueWithoutOutput(`the results are in ${OUTPUT_DIR}`);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error, false);
}
