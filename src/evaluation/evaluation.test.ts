/** @file Evaluation: csv files and their mistakes, rounding, ties, non-finite predictions, files of results. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { KeyFrameTimes } from '../data/time.js';
import { DataError } from '../errors.js';
import { bestSoFar, readEvaluations, recordEvaluation } from '../run/evaluations.js';
import { readDetections, readExclusions, readGroundTruthBoxes } from './ava_csv.js';
import { AvaEvaluator } from './ava_evaluator.js';
import { averagePrecision, descendingOrder, precisionRecall } from './average_precision.js';
import { fiveDecimals, writeDetections } from './detections_csv.js';
import { evaluateFiles, groundTruthNotes, readGroundTruth } from './evaluate_files.js';
import { resultsTable, summary, writeResults } from './results.js';
import type { AvaResults, ClipDetections } from './types.js';

const { at, file } = temporaryFiles();

const CLASSES = new Set([1, 2]);

describe('reading the rows of a file', () => {
  it('groups boxes by key frame, and leaves out other classes and persons without an action', () => {
    const path = file(
      'gt.csv',
      'v,0902,0,0,0.5,0.5,1,0\nv,902,0,0,1,1,2,1\nv,903,0,0,1,1,3,0\nv,904,0,0,1,1,,0\n',
    );
    const table = readGroundTruthBoxes([path], CLASSES);
    expect([...table.keys()]).toEqual(['v,0902']);
    expect(table.get('v,0902')).toEqual({
      boxes: [0, 0, 0.5, 0.5, 0, 0, 1, 1],
      classes: [1, 2],
      scores: [1, 1],
      persons: [0, 1],
    });
  });

  it('understands quoted names, CRLF, seconds with a fraction, and a missing score', () => {
    const path = file('p.csv', '"a,""b""",902.000,0,0,1,1,1,0.5\r\nv,0903,0,0,1,1,2\r\n');
    const table = readDetections(path, CLASSES);
    expect([...table.keys()]).toEqual(['a,"b",0902', 'v,0903']);
    expect(table.get('v,0903')?.scores).toEqual([1]);
  });

  it('adds an offset to the seconds of detections, without the noise of binary fractions', () => {
    const path = file('p.csv', 'v,2,0,0,1,1,1,0.5\nv,901.7,0,0,1,1,1,0.5\n');
    expect([...readDetections(path, CLASSES, { secondOffset: 900 }).keys()]).toEqual(['v,0902', 'v,1801.7']);
    expect([...readDetections(path, CLASSES, { secondOffset: 0.3 }).keys()]).toEqual(['v,0002.3', 'v,0902']);
  });

  it.each([
    ['v,902,0,0,1,1,1,nan', /p\.csv:2: the score must be a finite number, found "nan"/],
    ['v,902,0,0,1,1,1,inf', /the score must be a finite number/],
    ['v,902,0,NaN,1,1,1,0.5', /y1 must be a number from 0 to 1, found "NaN"/],
    ['v,902,0,0,1,1', /expected 7 or 8 columns/],
    ['v,x,0,0,1,1,1,0.5', /the second must be a number/],
    ['v,902,0,0,1,1,1.5,0.5', /the action id must be a whole number/],
    ['v,902,0,0,1,1,,0.5', /the action id is empty/],
  ])('names the line of an invalid row: %s', (line, message) => {
    const path = file('p.csv', `v,902,0,0,1,1,1,0.5\n${line}\n`);
    expect(() => readDetections(path, CLASSES)).toThrow(message);
    expect(() => readDetections(path, CLASSES)).toThrow(DataError);
  });

  it('refuses inverted true boxes and lists of exclusions with other columns', () => {
    expect(() => readGroundTruthBoxes([file('gt.csv', 'v,902,0.6,0,0.5,1,1,0\n')], CLASSES)).toThrow(
      /gt\.csv:1: inverted/,
    );
    expect(() => readExclusions(file('e.csv', 'v,902\nv\n'))).toThrow(/e\.csv:2: expected "video,second"/);
  });

  const ROW = 'v,902,0,0,1,1,1,0.5';
  const readers: [name: string, read: (text: string) => unknown, row: string][] = [
    ['predictions', (text) => readDetections(file('a.csv', text), CLASSES), ROW],
    ['ground truth', (text) => readGroundTruthBoxes([file('a.csv', text)], CLASSES), ROW],
    ['exclusions', (text) => readExclusions(file('a.csv', text)), 'v,902'],
  ];

  it.each(readers)('reports a header line of %s anywhere in the file', (_, read, row) => {
    const columns = row.split(',').length;
    const header = (names: string) => names.split(',').slice(0, columns).join();
    expect(() => read(`${header('"name","t","a","b","c","d","e","f"')}\n${row}\n`)).toThrow(
      /^\S*a\.csv:1: the line looks like a header: ".*"; remove it, because AVA's files have none$/,
    );
    expect(() => read(`${row}\n${header('video,second,x1,y1,x2,y2,id,score')}\n`)).toThrow(
      /^\S*a\.csv:2: the line looks like a header: "video,second/,
    );
    expect(() => read(`${row}\n${row}\n`)).not.toThrow();
  });

  it.each(readers)('reports the separator of the columns of %s once', (_, read, row) => {
    for (const [mark, name] of [
      [';', '";"'],
      ['\t', 'tabs'],
      [' ', 'spaces'],
      ['|', '"|"'],
    ]) {
      const header = 'video,second,x1,y1,x2,y2,id,score'.split(',').slice(0, row.split(',').length);
      for (const first of ['', `${header.join(mark)}\n`]) {
        expect(() => read(`${first}${`${row.replaceAll(',', mark)}\n`.repeat(20)}`)).toThrow(
          new DataError(
            `${at('a.csv')}: columns are separated by ${name} instead of commas; write the file again with commas`,
          ),
        );
      }
    }
  });

  it('recognises decimal commas beside other separators', () => {
    const path = file('p.csv', 'v;902;0,1;0,1;0,9;0,9;1;0,5\n');
    expect(() => readDetections(path, CLASSES)).toThrow(
      /p\.csv: columns are separated by ";" .*commas between columns and points in numbers$/,
    );
  });

  it.each([
    [
      'a video',
      'v',
      /:2: expected "video,second", found "v": the second is missing; write a line with video and/,
    ],
    ['no second', 'v,', /found "v,": the second is missing/],
    ['no video', ',902', /found ",902": the name of the video is missing/],
    ['a word', 'v,x', /found "v,x": the second must be a number/],
    ['three columns', 'v,902,1', /found "v,902,1", which has 3 columns/],
  ])('explains what is wrong with the exclusion %s', (_, line, message) => {
    expect(() => readExclusions(file('e.csv', `v,902.0\n${line}\n`))).toThrow(message);
  });

  it('reports an empty list of exclusions', () => {
    const files = {
      groundTruth: [file('gt.csv', 'v,902,0,0,1,1,1,0\n')],
      labelMap: file('labels.pbtxt', 'item { name: "walk" id: 1 }\n'),
    };
    const predictions = file('p.csv', `${ROW}\n`);
    for (const text of ['', '\n\n']) {
      const exclude = file('none.csv', text);
      const note = `${exclude}: the list of exclusions is empty, so every key frame counts`;
      expect(evaluateFiles({ ...files, exclude }, predictions).notes).toEqual([note]);
      expect(groundTruthNotes(readGroundTruth({ ...files, exclude }))).toEqual([note]);
    }
    expect(evaluateFiles(files, predictions).notes).toEqual([]);
  });
});

describe('a number with five decimals', () => {
  it('is the exact value, rounded with ties to even', () => {
    // 2^-6 and 3 · 2^-6 lie exactly between two numbers of five decimals.
    expect(fiveDecimals(0.015625)).toBe(0.01562);
    expect(fiveDecimals(0.046875)).toBe(0.04688);
    expect(fiveDecimals(Math.fround(0.1))).toBe(0.1);
    expect(fiveDecimals(Math.fround(0.999999))).toBe(1);
    expect(fiveDecimals(0)).toBe(0);
  });

  it('is the number that the CSV file holds', () => {
    const scores = Float32Array.from({ length: 500 }, (_, i) => Math.sin(i) ** 2);
    const clip: ClipDetections = {
      clip: { clipId: 0, videoIndex: 0, videoName: 'a,b', second: 902 },
      detections: {
        boxes: Float32Array.of(0, 0, 1, 1),
        personScores: Float32Array.of(1),
        actionScores: scores,
      },
    };
    const path = at('d.csv');
    writeDetections(path, [clip]);
    const read = readDetections(path, new Set(Array.from(scores, (_, i) => i + 1)));
    expect(read.get('a,b,0902')?.scores).toEqual(Array.from(scores, fiveDecimals));
  });
});

describe('average precision', () => {
  it('takes the later of equal scores first', () => {
    expect([...descendingOrder([0.5, 0.9, 0.5, 0.9])]).toEqual([3, 1, 2, 0]);
  });

  it('is the area under the raised precision curve', () => {
    // Hits at ranks 1 and 3 of 4 truths: recall ¼ at precision 1, ½ at ⅔.
    const curve = precisionRecall([0.9, 0.8, 0.7], [1, 0, 1], 4);
    expect([...curve.recall]).toEqual([0.25, 0.25, 0.5]);
    expect(averagePrecision(curve)).toBeCloseTo(0.25 + 0.25 * (2 / 3), 15);
    expect(averagePrecision(precisionRecall([], [], 4))).toBe(0);
  });
});

const LABELS = [
  { id: 1, name: 'walk' },
  { id: 2, name: 'stand, "still"' },
  { id: 5, name: 'never seen' },
];

function evaluate(truth: string, detections: string, excluded?: string): AvaResults {
  const classes = new Set(LABELS.map(({ id }) => id));
  const times = new KeyFrameTimes();
  const evaluator = new AvaEvaluator({
    labels: LABELS,
    boxes: readGroundTruthBoxes([file('gt.csv', truth)], classes, { times }),
    times,
    excluded: excluded === undefined ? new Set() : readExclusions(file('e.csv', excluded), times),
  });
  const found = readDetections(file('p.csv', detections), classes, { times });
  for (const [key, image] of found) evaluator.add(key, image);
  return evaluator.results();
}

const TRUTH = 'v,902,0,0,0.5,1,1,0\nv,902,0,0,0.5,1,2,0\nv,903,0,0,0.5,1,1,0\n';

describe('AvaEvaluator', () => {
  it('counts a true box once, and ignores classes without true boxes', () => {
    const results = evaluate(TRUTH, 'v,902,0,0,0.5,1,1,0.9\nv,902,0,0,0.5,1,1,0.8\nv,903,0,0,0.5,1,1,0.7\n');
    const [walk, stand, never] = results.perClass;
    expect(walk.ap).toBeCloseTo(0.5 + 0.5 * (2 / 3), 15);
    expect([stand.ap, stand.numGroundTruth]).toEqual([0, 1]);
    expect([never.ap, never.numGroundTruth]).toEqual([null, 0]);
    expect(results.mAP).toBeCloseTo((walk.ap as number) / 2, 15);
  });

  it('leaves out true boxes and detections of excluded key frames', () => {
    const results = evaluate(TRUTH, 'v,902,0,0,0.5,1,1,0.9\nv,903,0.9,0,1,1,1,0.8\n', 'v,0903\n');
    expect(results.perClass[0]).toMatchObject({ ap: 1, numGroundTruth: 1 });
  });

  it('matches at the same time only, and takes times that are written with other digits for the same', () => {
    const truth = 'v,91.5,0,0,0.5,1,1,0\nv,92.033,0,0,0.5,1,1,0\n';
    const found = (time: string) =>
      evaluate(truth, `v,${time},0,0,0.5,1,1,0.9\n`).perClass[0].curve.recall.at(-1);
    expect(['91.0', '91', '91.4', '92', '92.067'].map(found)).toEqual([0, 0, 0, 0, 0]);
    expect(['91.5', '91.500', '92.0333333', '92.0325'].map(found)).toEqual([0.5, 0.5, 0.5, 0.5]);
  });

  it('excludes the key frame at a time, and not the others of that second', () => {
    const truth = 'v,91,0,0,0.5,1,1,0\nv,91.5,0,0,0.5,1,1,0\nv,91.967,0,0,0.5,1,1,0\n';
    const results = evaluate(truth, 'v,91.5,0,0,0.5,1,1,0.9\n', 'v,91.5\nv,91.9667\n');
    expect(results.perClass[0]).toMatchObject({ ap: 0, numGroundTruth: 1 });
  });

  it('returns no mean if there are no true boxes, and the table says so', () => {
    const results = evaluate('', 'v,902,0,0,1,1,1,0.5\n');
    expect(results.mAP).toBeNull();
    expect(summary(results)).toBe('mAP@0.5 is not defined: no class of the label map has ground truth');
    expect(resultsTable(results)).toContain(summary(results));
  });

  it('accepts an IoU of exactly one half', () => {
    const results = evaluate('v,902,0,0,1,1,1,0\n', 'v,902,0,0,0.5,1,1,0.9\n');
    expect(results.perClass[0].ap).toBe(1);
    expect(evaluate('v,902,0,0,1,1,1,0\n', 'v,902,0,0,0.49999,1,1,0.9\n').perClass[0].ap).toBe(0);
  });
});

describe('writeResults', () => {
  it('writes JSON and csv, with an empty AP for a class without true boxes', () => {
    const results = evaluate(TRUTH, 'v,902,0,0,0.5,1,1,0.9\n');
    writeResults(at('out'), results);
    const read = (name: string) => readFileSync(at('out', name), 'utf8');
    expect(JSON.parse(read('results.json'))).toEqual({
      mAP: 0.25,
      per_class: [
        { id: 1, name: 'walk', ap: 0.5, num_ground_truth: 2 },
        { id: 2, name: 'stand, "still"', ap: 0, num_ground_truth: 1 },
        { id: 5, name: 'never seen', ap: null, num_ground_truth: 0 },
      ],
    });
    expect(read('per_class.csv').split('\n').slice(0, 4)).toEqual([
      'id,name,ap,num_ground_truth,num_detections',
      '1,walk,0.5,2,1',
      '2,"stand, ""still""",0,1,0',
      '5,never seen,,0,0',
    ]);
    expect(JSON.parse(read('precision_recall.json'))['1']).toEqual({
      name: 'walk',
      scores: [0.9],
      precision: [1],
      recall: [0.5],
    });
    expect(resultsTable(results)).toContain('   5  never seen            –        0           0');
    expect(summary(results)).toBe('mAP@0.5 0.2500 over 2 classes (1 without ground truth are left out)');
  });

  it('keeps at most 200 points of a curve, including its ends', () => {
    const rows = Array.from({ length: 1000 }, (_, i) => `v,${902 + i},0,0,1,1,1,${i / 1000}`);
    writeResults(at(), evaluate(TRUTH, rows.join('\n')));
    const { scores } = JSON.parse(readFileSync(at('precision_recall.json'), 'utf8'))['1'];
    expect(scores).toHaveLength(200);
    expect([scores[0], scores.at(-1)]).toEqual([0.999, 0]);
  });
});

describe('the evaluations of a run', () => {
  it('are read back: the last one of an iteration counts, and a truncated line is ignored', () => {
    const record = (iteration: number, mAP: number) =>
      recordEvaluation(at(), {
        iteration,
        results: { mAP, perClass: [] },
        clips: [],
        seconds: 1,
        best: true,
        folder: at('evaluation', 'x'),
      });
    record(20, 0.4);
    record(10, 0.3);
    record(20, 0.2);
    writeFileSync(at('evaluations.jsonl'), '{"iteration": 3', { flag: 'a' });
    expect(readEvaluations(at()).map(({ iteration, mAP }) => [iteration, mAP])).toEqual([
      [10, 0.3],
      [20, 0.2],
    ]);
    expect(readEvaluations(at())[0].folder).toBe(join('evaluation', 'x'));
    expect([bestSoFar(at(), 20), bestSoFar(at(), 10), bestSoFar(at(), 5)]).toEqual([0.3, 0.3, null]);
  });
});
