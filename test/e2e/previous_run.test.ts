/** @file A folder that holds a run already, weights that are the end of one, and a run's own configuration file. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { iterationIn } from '../../src/checkpoint/run_checkpoints.js';
import { loadConfig } from '../../src/config/index.js';
import { ConfigError } from '../../src/errors.js';
import { readEvaluations } from '../../src/run/evaluations.js';
import { weightsOfOwnRun } from '../../src/run/run_weights.js';
import { evaluateCheckpoint } from '../../src/training/evaluate_checkpoint.js';
import { type TrainOptions, train } from '../../src/training/train.js';
import { capturedLog } from '../support/captured_log.js';
import { launch } from '../support/cli.js';
import { TEST_ENGINE } from '../support/engine.js';
import { readJsonLines } from '../support/json_lines.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

const ENGINE = {
  engine: TEST_ENGINE,
  device: 'cpu',
} as const;
const SETTINGS = `${MICRO} SOLVER.MAX_EPOCH 2 SOLVER.EVAL_PERIOD 1 SOLVER.EVAL_AFTER 0 SOLVER.BASE_LR 1e-3`;
const OPTIONS: TrainOptions = { ...ENGINE, skipFinalTest: true, skipValidation: true };

const hasNamespaces = spawnSync('unshare', ['-rm', 'true']).status === 0;

let home: string;
let output: string[];
beforeAll(async () => {
  home = temporaryFolderOfFile();
  output = [];
  await run('first', '', { skipValidation: false });
}, 120_000);
beforeEach(() => {
  output = [];
});

const at = (...names: string[]) => join(home, ...names);
const load = (folder: string, overrides = '') =>
  loadConfig(
    'config_files/tiny.yaml',
    `${SETTINGS} OUTPUT_DIR ${at(folder)} ${overrides}`.trim().split(/ +/),
  );

const capture = () => capturedLog((text) => void output.push(text));

function run(folder: string, overrides = '', changes: Partial<TrainOptions> = {}) {
  return train(load(folder, overrides), { ...OPTIONS, log: capture(), ...changes });
}

/** A copy of the first run's folder. */
function copy(folder: string): string {
  cpSync(at('first'), at(folder), { recursive: true });
  return folder;
}

const FIRST_RUN = [
  'config.yaml',
  'environment.json',
  'evaluation',
  'evaluations.jsonl',
  'last_checkpoint',
  'log.jsonl',
  'metrics.jsonl',
  'model_0000002.pth',
  'model_0000004.pth',
  'model_best.pth',
  'model_final.pth',
];

describe('a run that starts afresh in the folder of another run', () => {
  it('is refused, and the other run stays unchanged', async () => {
    const folder = copy('used');
    const weights = `MODEL.WEIGHT ${at('first', 'model_final.pth')}`;
    const before = readdirSync(at(folder), { recursive: true });
    const started = run(folder, weights, { transfer: true });
    await expect(started).rejects.toThrow(ConfigError);
    await expect(run(folder, weights, { transfer: true })).rejects.toThrow(
      /used holds another run \(evaluations\.jsonl\)\. To continue that run, use --resume\. .* add --overwrite/,
    );
    expect(readdirSync(at(folder), { recursive: true })).toEqual(before);
  });

  it('says how --resume finds a run without last_checkpoint', async () => {
    const folder = copy('lost-pointer');
    for (const name of ['last_checkpoint', 'model_0000002.pth', 'model_0000004.pth'])
      rmSync(at(folder, name));
    const pointer = at(folder, 'last_checkpoint');
    await expect(run(folder, 'SOLVER.MAX_EPOCH 3', { resume: true })).rejects.toThrow(
      `write the path of its checkpoint into ${pointer} and use --resume`,
    );
    writeFileSync(pointer, at(folder, 'model_final.pth'));
    await run(folder, 'SOLVER.MAX_EPOCH 3', { resume: true });
    expect(iterationIn(at(folder, 'model_final.pth'))).toBe(6);
  });

  it('continues it with --resume, as the error proposes', async () => {
    const folder = copy('resumed');
    await run(folder, `MODEL.WEIGHT ${at('first', 'model_final.pth')} SOLVER.MAX_EPOCH 3`, {
      transfer: true,
      resume: true,
    });
    expect(iterationIn(at(folder, 'model_final.pth'))).toBe(6);
    // Its last_checkpoint names the folder that it was copied from.
    expect(output.join('')).toContain(`loading ${at(folder, 'model_final.pth')} (last_checkpoint)`);
  });

  it('is also refused if the folder has only a last_checkpoint, which --resume would follow to another run', async () => {
    const pointer = at('pointer-only', 'last_checkpoint');
    mkdirSync(at('pointer-only'));
    writeFileSync(pointer, at('first', 'model_final.pth'));
    const weights = `MODEL.WEIGHT ${at('first', 'model_best.pth')} SOLVER.MAX_EPOCH 1`;
    await expect(run('pointer-only', weights, { transfer: true })).rejects.toThrow(
      /holds another run \(last_checkpoint\)\. To continue that run, use --resume\./,
    );
    await run('pointer-only', 'SOLVER.MAX_EPOCH 2', { resume: true });
    expect(output.join('')).toMatch(
      /last_checkpoint names .*first\/model_final\.pth, which lies outside .*pointer-only/,
    );
    await run('pointer-only', weights, { transfer: true, overwrite: true });
    expect(readdirSync(at('pointer-only', 'previous_run_1'))).toContain('last_checkpoint');
    expect(iterationIn(at('pointer-only', 'model_final.pth'))).toBe(2);
  });

  it('has nothing to continue if the folder holds only evaluations of other weights', async () => {
    const folder = at('only-tested');
    mkdirSync(folder);
    cpSync(at('first', 'evaluations.jsonl'), join(folder, 'evaluations.jsonl'));
    await expect(run('only-tested')).rejects.toThrow(
      /only-tested holds another run \(evaluations\.jsonl\)\. To train a new one, choose another OUTPUT_DIR, or add --overwrite/,
    );
  });

  it('moves it aside with --overwrite, as the error proposes, and takes its weights from there', async () => {
    const folder = copy('overwritten');
    const weights = `MODEL.WEIGHT ${at(folder, 'model_final.pth')} SOLVER.MAX_EPOCH 1`;
    await run(folder, weights, { transfer: true, overwrite: true });
    expect(readdirSync(at(folder, 'previous_run_1')).sort()).toEqual(FIRST_RUN);
    const best = readFileSync(at('first', 'model_best.pth'));
    expect(readFileSync(at(folder, 'previous_run_1', 'model_best.pth')).equals(best)).toBe(true);
    expect(existsSync(at(folder, 'model_best.pth'))).toBe(false);
    expect(readFileSync(at(folder, 'metrics.jsonl'), 'utf8').match(/"iteration":1,/g)).toHaveLength(1);
    expect(readFileSync(at(folder, 'config.yaml'), 'utf8')).toContain('previous_run_1/model_final.pth');
    expect(output.join('')).toMatch(/the run that was in .*overwritten is in .*previous_run_1 now/);

    // The moved run is whole again: its pointer does not lead to the new run's checkpoints.
    await run(`${folder}/previous_run_1`, 'SOLVER.MAX_EPOCH 3', { resume: true });
    expect(iterationIn(at(folder, 'previous_run_1', 'model_final.pth'))).toBe(6);
    expect(iterationIn(at(folder, 'model_final.pth'))).toBe(2);
    await run(folder, 'SOLVER.MAX_EPOCH 1', { overwrite: true });
    expect(existsSync(at(folder, 'previous_run_2', 'model_final.pth'))).toBe(true);
    for (const name of FIRST_RUN) rmSync(at(folder, name), { recursive: true, force: true });
    await run(folder, 'SOLVER.MAX_EPOCH 1', { resume: true });
    expect(output.join('')).toMatch(
      /nothing in .* can be resumed; earlier runs are in its subfolders previous_run_1, /,
    );
  });

  it.each([
    ['weights', 'MODEL.WEIGHT nowhere.pth', /nowhere\.pth: no such file/],
    ['data', 'DATA.PATH_TO_DATA_DIR nowhere', /nowhere/],
  ])('restores the other run if the new one fails for its %s', async (what, overrides, message) => {
    const folder = copy(`failed-${what}`);
    const before = readdirSync(at(folder)).sort();
    await expect(run(folder, overrides, { overwrite: true })).rejects.toThrow(message);
    expect(readdirSync(at(folder)).sort()).toEqual(before);
    expect(readFileSync(at(folder, 'log.jsonl'), 'utf8')).toBe(
      readFileSync(at('first', 'log.jsonl'), 'utf8'),
    );
    await run(folder, 'SOLVER.MAX_EPOCH 3', { resume: true });
    expect(output.join('')).toMatch(/continuing after iteration 4/);
  });

  it.skipIf(!hasNamespaces)('leaves the other run whole if a part of it cannot be moved', () => {
    const folder = copy('mounted');
    mkdirSync(at(folder, 'report'));
    const { program, words } = launch([
      ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', 'onnx', '--overwrite'],
      ...`${SETTINGS} OUTPUT_DIR ${at(folder)}`.split(' '),
    ]);
    const script = 'mount -t tmpfs tmpfs "$0" && exec "$@"';
    const { status, stderr } = spawnSync(
      'unshare',
      ['-rm', 'sh', '-c', script, at(folder, 'report'), program, ...words],
      { encoding: 'utf8' },
    );
    expect(stderr).toMatch(
      /^stmixer: OUTPUT_DIR: .*mounted: the run there cannot be moved .* report: the path is in use/,
    );
    expect(status).toBe(2);
    expect(readdirSync(at(folder)).sort()).toEqual([...FIRST_RUN, 'report'].sort());
  });

  it('moves aside, without being asked, what a run without checkpoints left', async () => {
    const folder = copy('nothing-saved');
    for (const name of FIRST_RUN.filter((file) => /pth$|checkpoint|evaluation/.test(file)))
      rmSync(at(folder, name), { recursive: true });
    await run(folder, 'SOLVER.MAX_EPOCH 1', { resume: true });
    expect(readdirSync(at(folder, 'previous_run_1')).sort()).toEqual([
      'config.yaml',
      'environment.json',
      'log.jsonl',
      'metrics.jsonl',
    ]);
    expect(iterationIn(at(folder, 'model_final.pth'))).toBe(2);
  });

  it('continues from its newest checkpoint if a kill came before last_checkpoint was written', async () => {
    const folder = copy('no-pointer');
    for (const name of ['last_checkpoint', 'model_final.pth', 'model_0000004.pth']) rmSync(at(folder, name));
    await run(folder, '', { resume: true });
    expect(output.join('')).toMatch(/continuing after iteration 2/);
  });

  it('resumes from the checkpoint that it went back to, also if it was killed before it saved anything', async () => {
    const folder = copy('killed-after-going-back');
    const stopping = new AbortController();
    const hooks = [{ beforeTraining: () => stopping.abort(new Error('stopping')) }];
    const weights = `MODEL.WEIGHT ${at(folder, 'model_0000002.pth')} SOLVER.MAX_EPOCH 3`;
    expect(await run(folder, weights, { hooks, signal: stopping.signal })).toMatchObject({ isStopped: true });
    expect(iterationIn(at(folder, 'model_final.pth'))).toBe(4);
    output = [];
    await run(folder, weights, { resume: true });
    expect(output.join('')).toMatch(/loading .*model_0000002\.pth \(last_checkpoint\)/);
    expect(output.join('')).toMatch(/continuing after iteration 2/);
  });

  it('does not replace a better model_best.pth by going back to an earlier checkpoint', async () => {
    const folder = copy('went-back');
    const line = readJsonLines<object>(at(folder, 'evaluations.jsonl')).at(-1)!;
    writeFileSync(at(folder, 'evaluations.jsonl'), `${JSON.stringify({ ...line, mAP: 0.9 })}\n`);
    rmSync(at(folder, 'model_best.pth'));
    cpSync(at(folder, 'model_0000004.pth'), at(folder, 'model_best.pth'));
    const weights = `MODEL.WEIGHT ${at(folder, 'model_0000002.pth')} SOLVER.MAX_EPOCH 3`;
    await run(folder, weights, { skipValidation: false });
    expect(readEvaluations(at(folder)).at(-1)!.iteration).toBe(6);
    expect(iterationIn(at(folder, 'model_best.pth'))).toBe(4);
    expect(output.join('')).toMatch(/model_best\.pth stays: it reached mAP 0\.9000/);
  });
});

describe('a run folder as MODEL.WEIGHT', () => {
  it('means its best checkpoint with --transfer, which log and config.yaml name', async () => {
    await run('from-folder', `MODEL.WEIGHT ${at('first')} SOLVER.MAX_EPOCH 1`, { transfer: true });
    const best = at('first', 'model_best.pth');
    expect(output.join('')).toContain(
      `MODEL.WEIGHT: ${at('first')} is the folder of a run: taking ${best}, its best checkpoint`,
    );
    expect(readFileSync(at('from-folder', 'config.yaml'), 'utf8')).toContain(best);
  });

  it('means its last checkpoint otherwise, and follows a run that is moved', async () => {
    await expect(run('on-from-folder', `MODEL.WEIGHT ${at('first')}`)).rejects.toThrow(
      /MODEL\.WEIGHT: .*first\/model_final\.pth is the state of a training after iteration 4/,
    );
    const folder = copy('own-folder');
    await run(folder, `MODEL.WEIGHT ${at(folder)} SOLVER.MAX_EPOCH 1`, { transfer: true, overwrite: true });
    expect(output.join('')).toContain(
      `loading ${at(folder, 'previous_run_1', 'model_best.pth')} (MODEL.WEIGHT)`,
    );
  });

  it('is ignored if --resume finds a run, and is named if it is not a run', async () => {
    mkdirSync(at('no-run'));
    const weights = `MODEL.WEIGHT ${at('no-run')}`;
    await run(copy('resumed-anyway'), weights, { resume: true });
    expect(output.join('')).toMatch(/nothing left to train/);
    await expect(run('never', weights, { resume: true })).rejects.toThrow(
      /^MODEL\.WEIGHT: .*no-run: is a folder, not a weight file, and holds no run\. No weight file/,
    );
  });
});

describe('weights of a finished training', () => {
  const weights = (folder: string) => `MODEL.WEIGHT ${at(folder, 'model_final.pth')}`;

  it.each([false, true])(
    'are an error that names --transfer and --resume (--no-head: %s)',
    async (noHead) => {
      const folder = `finished-${noHead}`;
      await expect(run(folder, weights('first'), { noHead, skipFinalTest: false })).rejects.toThrow(
        /is the state of a training after iteration 4, and this one ends after iteration 4: nothing is left to train\. .*--transfer.*--resume/,
      );
      expect(readdirSync(at(folder)).filter((name) => /pth|evaluation/.test(name))).toEqual([]);
      await run(folder, weights('first'), { noHead, transfer: true });
      expect(iterationIn(at(folder, 'model_final.pth'))).toBe(4);
    },
  );

  it('are no error if the same command runs again, except with --no-head', async () => {
    const folder = copy('again');
    expect(await run(folder)).toMatchObject({ isStopped: false });
    await expect(run(folder, '', { noHead: true, skipFinalTest: false })).rejects.toThrow(
      /^--no-head: the training in .*again has done its 4 iterations/,
    );
  });

  it('are an error that explains how to start a new training if iterations remain', async () => {
    await run('longer', `${weights('first')} SOLVER.MAX_EPOCH 3`);
    expect(output.join('')).toMatch(/continuing after iteration 4 .*with --transfer a new training starts/);
  });
});

describe('the config.yaml of a run', () => {
  /** The configuration that `test` and `detect` use for a file. */
  const use = (file: string, overrides: string[] = []) => weightsOfOwnRun(loadConfig(file, overrides));

  it('means its best weights, else its last ones, and its own folder', () => {
    const folder = copy('moved');
    const best = use(at(folder, 'config.yaml'));
    expect(best.config).toMatchObject({
      OUTPUT_DIR: at(folder),
      MODEL: { WEIGHT: at(folder, 'model_best.pth') },
    });
    expect(best.note).toMatch(/model_best\.pth holds the best weights of the run in .*moved/);
    rmSync(at(folder, 'model_best.pth'));
    const last = use(at(folder, 'config.yaml'));
    expect(last.config.MODEL.WEIGHT).toBe(at(folder, 'model_final.pth'));
    expect(last.note).toMatch(/holds the last weights/);
    rmSync(at(folder, 'last_checkpoint'));
    symlinkSync(at(folder, 'config.yaml'), at('link.yaml'));
    expect(use(at('link.yaml')).config.MODEL.WEIGHT).toBe(at(folder, 'model_0000004.pth'));
    for (const name of readdirSync(at(folder)).filter((file) => file.endsWith('.pth')))
      rmSync(at(folder, name));
    expect(use(at(folder, 'config.yaml')).note).toMatch(
      /has no checkpoint yet: MODEL\.WEIGHT is what it started from/,
    );
  });

  it('is overridden by the command line, and other files mean what they contain', () => {
    const given = use(at('first', 'config.yaml'), ['MODEL.WEIGHT', 'mine.pth', 'OUTPUT_DIR', 'there']);
    expect(given.config).toMatchObject({ OUTPUT_DIR: 'there', MODEL: { WEIGHT: 'mine.pth' } });
    expect(use('config_files/tiny.yaml')).toEqual({
      config: loadConfig('config_files/tiny.yaml').config,
      note: null,
    });
  });

  it('is what stmixer test evaluates, and other weights do not count as an evaluation of the run', async () => {
    const folder = copy('tested');
    const lines = readEvaluations(at(folder)).length;
    expect(
      await evaluateCheckpoint(loadConfig(at(folder, 'config.yaml')), { ...ENGINE, log: capture() }),
    ).not.toBeNull();
    expect(output.join('')).toMatch(/weights: .*tested\/model_best\.pth/);
    const before = readFileSync(at(folder, 'evaluations.jsonl'), 'utf8');
    const other = loadConfig(at(folder, 'config.yaml'), ['MODEL.WEIGHT', at('first', 'model_0000002.pth')]);
    expect(await evaluateCheckpoint(other, { ...ENGINE, log: capture() })).not.toBeNull();
    expect(readFileSync(at(folder, 'evaluations.jsonl'), 'utf8')).toBe(before);
    expect(existsSync(at(folder, 'evaluation', 'of_first_model_0000002', 'results.json'))).toBe(true);
    expect(readEvaluations(at(folder))).toHaveLength(lines);
  });

  it('does not replace one that was written by hand', async () => {
    const folder = at('by-hand');
    cpSync('config_files/tiny.yaml', join(folder, 'config.yaml'), { recursive: true });
    const before = readFileSync(join(folder, 'config.yaml'), 'utf8');
    const loaded = loadConfig(join(folder, 'config.yaml'), `${SETTINGS} OUTPUT_DIR ${folder}`.split(' '));
    await expect(train(loaded, { ...OPTIONS, log: capture() })).rejects.toThrow(
      /by-hand: the run would replace .*config\.yaml by its own/,
    );
    expect(readFileSync(join(folder, 'config.yaml'), 'utf8')).toBe(before);
    // Nor over one that has nothing to do with it.
    writeFileSync(join(folder, 'config.yaml'), 'title: my site\n');
    await expect(run('by-hand')).rejects.toThrow(/by-hand: the run would replace/);
    // A run's own file is one that it may write again.
    const own = loadConfig(at(copy('own'), 'config.yaml'), [
      'OUTPUT_DIR',
      at('own'),
      'SOLVER.MAX_EPOCH',
      '3',
    ]);
    await train(own, { ...OPTIONS, log: capture(), resume: true });
    expect(loadConfig(at('own', 'config.yaml')).config.SOLVER.MAX_EPOCH).toBe(3);
  });
});

it('a run refuses a folder in the place of a file that it writes before it trains', async () => {
  copy('obstacle');
  rmSync(at('obstacle', 'last_checkpoint'));
  mkdirSync(at('obstacle', 'last_checkpoint'));
  await expect(run('obstacle', 'SOLVER.MAX_EPOCH 3', { resume: true })).rejects.toThrow(
    /^OUTPUT_DIR: .*obstacle\/last_checkpoint is a folder, and the run writes a file of this name; move it away/,
  );
});

it('a run that is stopped before its first step reports that nothing was saved', async () => {
  const stopping = new AbortController();
  const running = run('early', '', { signal: stopping.signal });
  stopping.abort(new Error('stopping'));
  expect(await running).toMatchObject({ isStopped: true });
  expect(output.join('')).toContain(
    'stopped before the first step: nothing was trained, and nothing is saved',
  );
});
