/** @file What is read of a run's folder, whole or damaged. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { evaluationLine, metricsLine, writeRunFolder } from '../../test/support/run_folder.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { maxIterations, trainingSeconds } from '../report/summary.js';
import { bestEvaluation, evaluationFile, readPrecisionRecall } from './evaluations.js';
import { checkIsRun, readRun, runSignature } from './read_run.js';

let folder: string;
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

beforeEach(() => {
  folder = temporaryFolder();
});

describe('readRun', () => {
  it('reads a whole run', () => {
    writeRunFolder(folder, { iterations: 240, names: ['stand', 'walk', 'carry'] });
    const run = readRun(folder);
    expect(run.metrics.map(({ iteration }) => iteration).slice(0, 3)).toEqual([1, 10, 20]);
    expect(run.metrics[0].losses.size).toBe(12);
    expect(run.evaluations.map(({ iteration }) => iteration)).toEqual([60, 120, 180, 240]);
    expect(run.evaluations[0].perClass[0]).toMatchObject({ id: 12, name: 'stand' });
    expect(readPrecisionRecall(folder, run.evaluations[3])).toHaveLength(3);
    expect(run.notes).toEqual([]);
    expect(maxIterations(run)).toBe(600);
    // 240 steps of about 0.8 s, the first of 6 s.
    expect(trainingSeconds(run)).toBeGreaterThan(0.7 * 240 + 6);
    expect(trainingSeconds(run)).toBeLessThan(0.9 * 240 + 6);
  });

  it('reads an empty folder as an empty run, which has no report', () => {
    const run = readRun(folder);
    expect(run).toMatchObject({
      metrics: [],
      evaluations: [],
      config: null,
      environment: null,
      engine: null,
    });
    expect(() => checkIsRun(folder)).toThrow(/there is no run in this folder/);
    expect(() => readRun(join(folder, 'none'))).toThrow(/there is no such folder/);
    write('file', '');
    expect(() => readRun(join(folder, 'file'))).toThrow(/this is not a folder/);
  });

  it('skips an unfinished last line, and names other damaged lines', () => {
    write('metrics.jsonl', `${metricsLine(1)}{"iteration": 5,\n[1]\n${metricsLine(10)}{"iteration": 20, "lo`);
    const run = readRun(folder);
    expect(run.metrics.map(({ iteration }) => iteration)).toEqual([1, 10]);
    expect(run.notes).toEqual(['metrics.jsonl: 2 lines are not readable and left out (first: line 2).']);
  });

  it('reads the known fields of lines of unknown form', () => {
    write(
      'metrics.jsonl',
      '{"iteration":3}\n{"loss":1}\n{"iteration":4,"loss":"x","losses":[1],"lr":[1,null,"2"],"seconds":null}\n',
    );
    const [first, second] = readRun(folder).metrics;
    expect(first).toMatchObject({ iteration: 3, loss: null, lr: [], seconds: null });
    expect(second).toMatchObject({ iteration: 4, loss: null, lr: [1] });
    expect(second.losses.size).toBe(0);
  });

  it('forgets what was logged after the iteration that a run was resumed from', () => {
    const lines = [1, 10, 20, 30, 40].map((i) => metricsLine(i));
    write('metrics.jsonl', [...lines, metricsLine(21), metricsLine(30, { loss: 7 })].join(''));
    const { metrics } = readRun(folder);
    expect(metrics.map(({ iteration }) => iteration)).toEqual([1, 10, 20, 21, 30]);
    expect(metrics[4].loss).toBe(7);
  });

  it('leaves out evaluations of an earlier run, and takes the last of each iteration', () => {
    write('metrics.jsonl', metricsLine(100));
    const line = (iteration: number, mAP: number | null) => evaluationLine(iteration, ['a'], { mAP });
    write(
      'evaluations.jsonl',
      [line(500, 0.9), line(60, 0.2), line(60, 0.3), line(80, null), line(104, 0.3)].join(''),
    );
    const { evaluations } = readRun(folder);
    expect(evaluations.map(({ iteration, mAP }) => [iteration, mAP])).toEqual([
      [60, 0.3],
      [80, null],
      [104, 0.3],
    ]);
    expect(bestEvaluation(evaluations)?.iteration).toBe(60);
    expect(bestEvaluation([])).toBeNull();
  });

  it('reads no file outside the folder of the run', () => {
    const read = (path: string) =>
      evaluationFile('/runs/a', { folder: path } as Parameters<typeof evaluationFile>[1], 'results.json');
    expect(read('evaluation/iteration_1')).toBe('/runs/a/evaluation/iteration_1/results.json');
    for (const path of ['', '..', '../b', '/etc', 'x/../../b']) expect(read(path)).toBeNull();
  });

  it('keeps the text of a configuration that this version cannot read', () => {
    write('config.yaml', 'SOLVER:\n  NO_SUCH_KEY: 1\n');
    const { config } = readRun(folder);
    expect(config).toMatchObject({ config: null, text: expect.stringContaining('NO_SUCH_KEY') });
    expect(config?.problem).toMatch(/NO_SUCH_KEY/);
  });

  it('finds the engine, warnings and the final error in the log', () => {
    const log = [
      { level: 30, time: 1, engine: { description: 'onnx on CPU' }, msg: 'engine: onnx on CPU' },
      { level: 30, time: 2, msg: 'iter 10/20' },
      { level: 40, time: 3, msg: 'a warning' },
      { level: 20, time: 4, err: { message: 'no space' }, msg: 'the run ended with an error' },
    ];
    write('log.jsonl', `${log.map((line) => JSON.stringify(line)).join('\n')}\n{"level":50,`);
    const { engine, messages } = readRun(folder);
    expect(engine).toBe('onnx on CPU');
    expect(messages).toEqual([
      { time: 3, text: 'a warning' },
      { time: 4, text: 'The run ended with an error: no space' },
    ]);
  });
});

describe('runSignature', () => {
  it('changes if a file changes', () => {
    const empty = runSignature(folder);
    write('metrics.jsonl', metricsLine(1));
    const one = runSignature(folder);
    appendFileSync(join(folder, 'metrics.jsonl'), metricsLine(10));
    const two = runSignature(folder);
    expect(new Set([empty, one, two]).size).toBe(3);
    write('other.txt', 'x');
    expect(runSignature(folder)).toBe(two);
  });
});
