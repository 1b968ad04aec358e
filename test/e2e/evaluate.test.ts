/** @file Evaluation from the command line: `evaluate`, validation in training, the final test, `test`. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ResultsJson } from '../../src/evaluation/results.js';
import type { EvaluationLine } from '../../src/run/evaluations.js';
import { type Finished, start, stmixer, stmixerHere } from '../support/cli.js';
import { TEST_ENGINE } from '../support/engine.js';
import { readJsonLines } from '../support/json_lines.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

const ANNOTATIONS = 'sample/annotations';
const TRUTH = ['--ground-truth', `${ANNOTATIONS}/val.csv`, '--label-map', `${ANNOTATIONS}/label_map.pbtxt`];

let folder: string;

beforeAll(() => {
  folder = temporaryFolderOfFile();
});

function args(command: string, output: string, overrides = '', flags: string[] = []): string[] {
  const words = `${MICRO} OUTPUT_DIR ${join(folder, output)} ${overrides}`.trim().split(/ +/);
  return [command, '--config-file', 'config_files/tiny.yaml', '--engine', TEST_ENGINE, ...flags, ...words];
}

const read = (...parts: string[]) => readFileSync(join(folder, ...parts), 'utf8');

function evaluations(output: string): EvaluationLine[] {
  return readJsonLines(join(folder, output, 'evaluations.jsonl'));
}

describe('stmixer evaluate', () => {
  it('finds the ground truth itself perfect, as JSON of the documented form', async () => {
    const predictions = join(folder, 'perfect.csv');
    const rows = readFileSync(`${ANNOTATIONS}/val.csv`, 'utf8').trim().split('\n');
    writeFileSync(predictions, rows.map((row) => row.replace(/,[^,]*$/, ',0.9')).join('\n'));
    const out = join(folder, 'perfect');
    const run = await stmixer(['evaluate', ...TRUTH, '--predictions', predictions, '--json', '--out', out]);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const perfect = expect.closeTo(1, 12);
    expect(JSON.parse(run.stdout)).toEqual({
      mAP: perfect,
      per_class: [
        { id: 12, name: 'stand', ap: perfect, num_ground_truth: 8 },
        { id: 14, name: 'walk', ap: perfect, num_ground_truth: 26 },
        { id: 17, name: 'carry/hold (an object)', ap: perfect, num_ground_truth: 13 },
      ],
      warnings: [],
    });
    const { warnings: _, ...results } = JSON.parse(run.stdout);
    expect(JSON.parse(read('perfect', 'results.json'))).toEqual(results);
  });

  it('exits with 5 if the mAP is lower than --min-map, and says so', async () => {
    const predictions = join(folder, 'one.csv');
    const [first] = readFileSync(`${ANNOTATIONS}/val.csv`, 'utf8').split('\n');
    writeFileSync(predictions, `${first.replace(/,[^,]*$/, ',0.9')}\n`);
    const evaluate = (...flags: string[]) =>
      stmixerHere(['evaluate', ...TRUTH, '--predictions', predictions, '--quiet', ...flags]);
    const low = await evaluate('--min-map', '0.5');
    expect(low.code).toBe(5);
    expect(low.stderr).toMatch(/^stmixer: the mAP of 0\.0\d+ is lower than --min-map 0\.5$/m);
    expect(low.stdout).toMatch(/12 {2}stand/);
    expect((await evaluate('--min-map', '0')).code).toBe(0);
    const wrong = await evaluate('--min-map', '30');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('from 0 to 1');
  });

  it('names file and line of a prediction that is not finite, and exits with 3', async () => {
    const predictions = join(folder, 'nan.csv');
    writeFileSync(predictions, 'vtest_val,0902,0,0,1,1,12,nan\n');
    const run = await stmixerHere(['evaluate', ...TRUTH, '--predictions', predictions]);
    expect(run.code).toBe(3);
    expect(run.stderr).toContain('nan.csv:1: the score must be a finite number');
  });
});

describe('stmixer evaluate with files that do not match', () => {
  const label = 'item { name: "walk" id: 1 }\n';

  /** The words of the command for the files with these texts. */
  function words(name: string, truth: string, predictions: string): string[] {
    const path = (ending: string, text: string) => {
      const file = join(folder, `${name}_${ending}`);
      writeFileSync(file, text);
      return file;
    };
    return [
      ...['evaluate', '--ground-truth', path('gt.csv', truth), '--label-map', path('map.pbtxt', label)],
      ...['--predictions', path('p.csv', predictions)],
    ];
  }

  it('warns on standard error and in the JSON, and keeps number and exit code', async () => {
    const command = words('name', 'v,902,0.1,0.1,0.5,0.9,1,0\n', 'v.mp4,902,32,24,160,216,1,0.9\n');
    const run = await stmixerHere([...command, '--json']);
    expect(run.code).toBe(0);
    const { mAP, warnings } = JSON.parse(run.stdout) as ResultsJson & { warnings: string[] };
    expect(mAP).toBe(0);
    expect(warnings).toHaveLength(2);
    expect(run.stderr).toBe(warnings.map((warning) => `warning: ${warning}\n`).join(''));
    expect(warnings[0]).toBe(
      'no video is in both files: the predictions have "v.mp4", the ground truth "v"; without ".mp4" 1 of 1 name would ' +
        'fit: rename the videos in one of the files',
    );
    expect(warnings[1]).toContain(
      'the boxes of the predictions reach from 24 to 216, those of the ground truth from 0.1',
    );
    expect(warnings[1]).toContain('look like pixels');
  });

  it('proposes a --second-offset that removes the warning, also a negative one', async () => {
    const truth = (second: number) => `v,${second},0.1,0.1,0.5,0.9,1,0\n`;
    const rows = (second: number) => `v,${second},0.1,0.1,0.5,0.9,1,0.9\n`;
    for (const [predicted, labelled, offset] of [
      [2, 902, '900'],
      [902, 2, '-900'],
    ] as const) {
      const command = words('offset', truth(labelled), rows(predicted));
      const run = await stmixerHere(command);
      expect(run.stdout).toContain('mAP@0.5 0.0000');
      expect(run.stderr).toContain(`predictions ${predicted}, ground truth ${labelled}`);
      const [, flag, proposed] = /(--second-offset) (\S+)$/m.exec(run.stderr)!;
      expect(proposed).toBe(offset);
      const mended = await stmixerHere([...command, flag, proposed]);
      expect(mended).toMatchObject({ code: 0, stderr: '' });
      expect(mended.stdout).toContain('mAP@0.5 1.0000');
    }
  });

  it('adds a --second-offset with a fraction, and refuses one that is not a number', async () => {
    const command = words('half', 'v,902,0.1,0.1,0.5,0.9,1,0\n', 'v,901.7,0.1,0.1,0.5,0.9,1,0.9\n');
    const run = await stmixerHere([...command, '--second-offset', '0.3']);
    expect(run.stdout).toContain('mAP@0.5 1.0000');
    expect(await stmixerHere([...command, '--second-offset', 'x'])).toMatchObject({ code: 2, stdout: '' });
  });

  it('counts what a list of exclusions removes, on standard error and in the JSON', async () => {
    const rows = (last: string) => [902, 903].map((s) => `v,${s},0.1,0.1,0.5,0.9,1,${last}\n`).join('');
    const excluded = join(folder, 'one.csv');
    writeFileSync(excluded, 'v,0903\n');
    const command = [...words('excluded', rows('0'), rows('0.9')), '--exclude', excluded, '--json'];
    const run = await stmixerHere(command);
    const { warnings, notes } = JSON.parse(run.stdout);
    expect(warnings).toEqual([]);
    expect(notes).toEqual([
      'the list of exclusions has 1 key frame and leaves out 1 of 2 of the predictions (first: "v" at 903) and 1 of 2 of the ' +
        'ground truth (first: "v" at 903)',
    ]);
    expect(run.stderr).toBe(`note: ${notes[0]}\n`);
  });

  it('proposes the file that is meant if one is missing', async () => {
    const command = words('twin', 'v,902,0.1,0.1,0.5,0.9,1,0\n', 'v,902,0.1,0.1,0.5,0.9,1,0.9\n');
    const asked = command.map((word) => word.replace('twin_map.pbtxt', 'Twin_map.pbtxt'));
    const run = await stmixerHere(asked);
    expect(run.code).toBe(3);
    const [, there] = /but there is (\S+), which differs only in letter case/.exec(run.stderr)!;
    expect(await stmixerHere(asked.map((word) => (word.includes('Twin_map') ? there : word)))).toMatchObject({
      code: 0,
    });
  });

  it('explains that there is no mean without ground truth', async () => {
    const run = await stmixerHere(words('empty', '', 'v,902,0.1,0.1,0.5,0.9,1,0.9\n'));
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('mAP@0.5 is not defined: no class of the label map has ground truth');
    expect(run.stderr).toMatch(/^warning: .*empty_gt\.csv \(ground truth\) has no rows/);
  });
});

describe('a run with validation', () => {
  let run: Finished;

  beforeAll(async () => {
    const epochs = 'SOLVER.MAX_EPOCH 3 SOLVER.EVAL_PERIOD 2 SOLVER.EVAL_AFTER 1 SOLVER.CHECKPOINT_PERIOD 3';
    run = await stmixerHere(args('train', 'run', epochs, ['--use-tfboard']));
  }, 120_000);

  it('evaluates after every EVAL_PERIOD epochs and at the end', () => {
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(evaluations('run').map(({ iteration }) => iteration)).toEqual([4, 6]);
    expect(run.stdout.match(/mAP@0\.5/g)).toHaveLength(2);
    expect(run.stdout).toMatch(/clips\/s/);
    expect(existsSync(join(folder, 'run', 'tensorboard'))).toBe(true);
  });

  it('marks the best weights: in the log, and as model_best.pth', () => {
    const [first, second] = evaluations('run');
    expect(first.best).toBe(true);
    expect(second.best).toBe((second.mAP as number) > (first.mAP as number));
    expect(statSync(join(folder, 'run', 'model_best.pth')).size).toBe(
      statSync(join(folder, 'run', 'model_final.pth')).size,
    );
  });

  it('writes detections that `stmixer evaluate` gives the same mAP', async () => {
    const { folder: name, mAP } = evaluations('run')[1];
    const predictions = join(folder, 'run', name, 'detections.csv');
    const again = await stmixerHere(['evaluate', ...TRUTH, '--predictions', predictions, '--json']);
    const { warnings, ...results } = JSON.parse(again.stdout) as ResultsJson & { warnings: string[] };
    expect(results.mAP).toBe(mAP);
    expect(JSON.parse(read('run', name, 'results.json'))).toEqual(results);
    // A model of six steps finds little; that it finds nothing may be said, but nothing is wrong with the files.
    expect(warnings.filter((warning) => !warning.includes('no prediction overlaps'))).toEqual([]);
  });

  it('finds the same with the final weights in stmixer test', async () => {
    const weights = join(folder, 'run', 'model_final.pth');
    const excluded = join(folder, 'excluded.csv');
    writeFileSync(excluded, 'vtest_val.mp4,0903\n');
    const tested = await stmixerHere(
      args('test', 'tested', `MODEL.WEIGHT ${weights} AVA.EXCLUSION_FILE ${excluded}`),
    );
    expect(tested).toMatchObject({ code: 0, stderr: '' });
    expect(tested.stdout).toMatch(
      /WARN: the list of exclusions has no effect.* without "\.mp4" 1 of 1 name of the list/,
    );
    expect(tested.stdout).toMatch(/12 {2}stand/);
    const [line] = evaluations('tested');
    const { per_class, mAP, folder: name } = evaluations('run')[1];
    expect({ iteration: line.iteration, mAP: line.mAP, per_class: line.per_class }).toEqual({
      iteration: 6,
      mAP,
      per_class,
    });
    expect(read('tested', line.folder, 'detections.csv')).toBe(read('run', name, 'detections.csv'));
  });

  it('prints only JSON to standard output with test --json, and exits with 5 below --min-map', async () => {
    const weights = `MODEL.WEIGHT ${join(folder, 'run', 'model_final.pth')}`;
    const flags = ['--json', '--min-map', '1', '--local_rank', '0'];
    const tested = await stmixerHere(args('test', 'as-json', weights, flags));
    const { mAP, per_class } = evaluations('run')[1];
    expect(JSON.parse(tested.stdout)).toEqual({
      iteration: 6,
      mAP,
      per_class,
      clips: 10,
      seconds: expect.any(Number),
      folder: expect.stringContaining('iteration_0000006'),
    });
    expect(tested.stderr).toMatch(/loading the program …\n/);
    expect(tested.stderr).toMatch(/evaluating 10 clips/);
    expect(tested.stderr).toMatch(/is lower than --min-map 1\n$/);
    expect(tested.code).toBe(5);
  });

  it('prints only the end of a training with --quiet: the best checkpoint, and what to do next', async () => {
    const epochs = 'SOLVER.MAX_EPOCH 3 SOLVER.EVAL_PERIOD 2 SOLVER.EVAL_AFTER 1 SOLVER.CHECKPOINT_PERIOD 3';
    const again = await stmixerHere(args('train', 'run', epochs, ['--quiet']));
    expect(again).toMatchObject({ code: 0, stderr: '' });
    const output = again.stdout.split('\n').filter((line) => !line.includes('WARN'));
    expect(output.join('\n')).toMatch(
      /^\nBest checkpoint: {2}\S+model_best\.pth \(mAP [\d.]+ after iteration [46]\)\nTotal time: .*\nNext:\n( {2}stmixer .*\n){3}$/,
    );
  });

  it('refuses the final weights in stmixer test if the depth differs', async () => {
    const weights = join(folder, 'run', 'model_final.pth');
    const refused = await stmixerHere(args('test', 'deeper', `MODEL.WEIGHT ${weights} ViT.DEPTH 2`));
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/lacks 13 of the model's \d+ weights/);
    expect(refused.stderr).toContain('blocks.N.norm1.weight: 1 of 2 (without N = 1)');
    expect(refused.stderr).toContain('ViT.DEPTH 1');
  });

  it('ends during evaluation on SIGINT, after the batch, with all weights saved', async () => {
    const { child, finished } = start(
      args('train', 'stopped', 'SOLVER.MAX_EPOCH 1 TEST.VIDEOS_PER_BATCH 1 DATALOADER.NUM_WORKERS 2'),
    );
    child.stdout!.on('data', (chunk) => {
      if (String(chunk).includes('evaluating')) child.kill('SIGINT');
    });
    const stopped = await finished;
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toContain('evaluation stopped');
    expect(existsSync(join(folder, 'stopped', 'model_final.pth'))).toBe(true);
    expect(existsSync(join(folder, 'stopped', 'evaluations.jsonl'))).toBe(false);
  });
});

describe('missing files for the evaluation', () => {
  const noTruth = "AVA.TEST_GT_BOX_LISTS ['nowhere.csv'] SOLVER.MAX_EPOCH 1";

  it('are reported before training, with the flags to train without them', async () => {
    const run = await stmixerHere(args('train', 'no-truth', noTruth));
    expect(run.code).toBe(3);
    expect(run.stderr).toContain('nowhere.csv');
    expect(run.stderr).toContain('--skip-final-test');
    expect(existsSync(join(folder, 'no-truth', 'metrics.jsonl'))).toBe(false);
  });

  it('do not matter to a run without evaluation', async () => {
    const flags = ['--skip-val-in-train', '--skip-final-test'];
    const run = await stmixerHere(args('train', 'without', noTruth, flags));
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(existsSync(join(folder, 'without', 'evaluations.jsonl'))).toBe(false);
  });

  it('end stmixer test with exit code 4 if they are the weights', async () => {
    const run = await stmixerHere(args('test', 'no-weights'));
    expect(run.code).toBe(4);
    expect(run.stderr).toContain('MODEL.WEIGHT is empty');
  });
});
