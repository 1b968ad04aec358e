/** @file Commands whose output is no longer taken: a reader that ended, a full disk, a terminal that hung up. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { iterationIn } from '../../src/checkpoint/run_checkpoints.js';
import { loadConfig } from '../../src/config/index.js';
import { float32Tensor } from '../../src/formats/host_tensor.js';
import { Detector } from '../../src/model/detector.js';
import { initializeParameters } from '../../src/nn/module.js';
import { launch } from '../support/cli.js';
import { saveCheckpoint } from '../support/save_checkpoint.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

const CONFIG = ['--config-file', 'config_files/tiny.yaml', '--engine', 'onnx'];
const SAME_FILE =
  'warning: sample/annotations/val.csv is given as ground truth and as predictions: the result is meaningless; give two files\n';
const TRUTH = [
  '--ground-truth',
  'sample/annotations/val.csv',
  '--label-map',
  'sample/annotations/label_map.pbtxt',
];

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
});
/** Leaders of process groups. */
const started: number[] = [];
afterAll(() => {
  for (const pid of started) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  }
});

const words = (folder: string, more = '') =>
  `${MICRO} OUTPUT_DIR ${join(home, folder)} ${more}`.trim().split(/ +/);

/** A training that ends only if it is told to, unless `more` says otherwise. */
function training(folder: string, more = 'SOLVER.MAX_EPOCH 5000'): string[] {
  return [
    'train',
    ...CONFIG,
    '--skip-val-in-train',
    '--skip-final-test',
    ...words(folder, `SOLVER.CHECKPOINT_KEEP 1 ${more}`),
  ];
}

/** Starts a command of bash in which "$@" is `stmixer <args>`, in a session of its own. */
function inShell(command: string, args: string[]) {
  const { program, words: rest } = launch(args);
  const child = spawn('bash', ['-c', command, 'bash', program, ...rest], { detached: true });
  started.push(child.pid!);
  let stderr = '';
  let stdout = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  const finished = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, finished, stdout: () => stdout };
}

/** Waits until a run has saved its first checkpoint. */
const untilSaved = (folder: string) =>
  vi.waitFor(() => expect(existsSync(join(home, folder, 'last_checkpoint'))).toBe(true), {
    timeout: 60_000,
    interval: 50,
  });
const lastIteration = (folder: string) =>
  iterationIn(readFileSync(join(home, folder, 'last_checkpoint'), 'utf8'));
const loggedIterations = (folder: string) =>
  Number(/stopped after iteration (\d+)/.exec(readFileSync(join(home, folder, 'log.jsonl'), 'utf8'))?.[1]);

describe.skipIf(process.platform === 'win32')(
  'a command whose output nobody reads',
  { timeout: 120_000 },
  () => {
    it('continues training when its reader ends, saves at Ctrl-C, and exits with 130', async () => {
      // exec, so that the signal reaches the program itself.
      const { child, finished } = inShell('exec "$@" > >(head -n 1)', training('piped'));
      await untilSaved('piped');
      child.kill('SIGINT');
      const { code, stderr } = await finished;
      expect(code).toBe(130);
      expect(stderr).toMatch(
        /^stmixer: cannot write to standard output: its reader has ended; continuing without it: the log is in .*piped\/log\.jsonl\n$/,
      );
      expect(lastIteration('piped')).toBe(loggedIterations('piped'));
    });

    it('trains to the end if its output goes to a full disk', async () => {
      const { code, stderr } = await inShell('exec "$@" > /dev/full', training('full', 'SOLVER.MAX_EPOCH 1'))
        .finished;
      expect(code).toBe(0);
      expect(stderr).toMatch(/no space left on the disk; continuing without it: the log is in/);
      expect(existsSync(join(home, 'full', 'model_final.pth'))).toBe(true);
    });

    it('evaluates and detects to the end', async () => {
      const weights = await saveModel();
      const more = `MODEL.WEIGHT ${weights}`;
      const test = inShell('set -o pipefail; "$@" | true', ['test', ...CONFIG, ...words('test', more)]);
      const input = 'sample/frames/vtest_val/vtest_val_000060.jpg';
      const detect = inShell('exec "$@" > /dev/full 2>&1', [
        ...['detect', ...CONFIG, '--input', input, '--out', join(home, 'found')],
        ...words('detect', more),
      ]);
      expect(await test.finished).toMatchObject({ code: 0 });
      expect(existsSync(join(home, 'test', 'evaluations.jsonl'))).toBe(true);
      expect(await detect.finished).toMatchObject({ code: 0 });
      expect(existsSync(join(home, 'found', 'detections.json'))).toBe(true);
    });

    it('ends silently if it only prints and its reader has ended, and with an error on a full disk', async () => {
      const args = ['evaluate', ...TRUTH, '--predictions', 'sample/annotations/val.csv'];
      const piped = inShell('set -o pipefail; "$@" | true', args);
      const full = inShell('exec "$@" > /dev/full', args);
      expect(await piped.finished).toEqual({ code: 0, stdout: '', stderr: SAME_FILE });
      expect(await full.finished).toEqual({
        code: 1,
        stdout: '',
        stderr: `${SAME_FILE}stmixer: standard output: no space left on the disk\n`,
      });
    });
  },
);

describe.skipIf(process.platform === 'win32')('a hang-up', { timeout: 120_000 }, () => {
  it('saves and ends the run with 129, also if it comes twice', async () => {
    const { child, finished, stdout } = inShell('exec "$@"', training('hung-up'));
    await untilSaved('hung-up');
    child.kill('SIGHUP');
    await vi.waitFor(() => expect(stdout()).toMatch(/SIGHUP: finishing this step and saving\n/), {
      timeout: 20_000,
    });
    child.kill('SIGHUP');
    expect((await finished).code).toBe(129);
    expect(lastIteration('hung-up')).toBe(loggedIterations('hung-up'));
    expect(existsSync(join(home, 'hung-up', 'run.lock'))).toBe(false);
  });

  it.each([
    ['nohup', 'nohup "$@" & wait'],
    ['a script that ignores it', 'trap "" HUP; "$@" & wait'],
  ])('does not end a run that was started by %s', async (name, command) => {
    const folder = name.replaceAll(' ', '-');
    // The tests themselves may run under nohup.
    const { finished } = inShell(`unset STMIXER_IGNORE_SIGHUP; ${command}`, training(folder));
    await untilSaved(folder);
    const log = () => readFileSync(join(home, folder, 'log.jsonl'), 'utf8');
    const { pid } = JSON.parse(readFileSync(join(home, folder, 'run.lock'), 'utf8'));
    const before = log().length;
    process.kill(pid, 'SIGHUP');
    await vi.waitFor(() => expect(log().slice(before)).toMatch(/saved .*saved .*saved /s), 60_000);
    expect(log()).not.toContain('SIGHUP');
    process.kill(pid, 'SIGTERM');
    await finished;
    expect(lastIteration(folder)).toBe(loggedIterations(folder));
  });
});

/** A checkpoint of the untrained model. */
async function saveModel(): Promise<string> {
  const { config } = loadConfig('config_files/tiny.yaml', MICRO.split(' '));
  const model = new Detector(config);
  initializeParameters(model, 0);
  const tensors = Array.from(
    model.namedParameters(),
    ([name, { shape, value }]) => [name, float32Tensor(shape, value.dataSync() as Float32Array)] as const,
  );
  const parts = { model: new Map(tensors), optimizer: null, scheduler: null, iteration: 0 };
  const path = await saveCheckpoint(home, 'weights', parts);
  model.dispose();
  return path;
}
