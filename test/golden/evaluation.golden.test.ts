/** @file AVA's mean average precision against the official evaluator: goldens, and a public case where it is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readLabelMap } from '../../src/data/datasets/label_map.js';
import { AvaEvaluator } from '../../src/evaluation/ava_evaluator.js';
import { writeDetections } from '../../src/evaluation/detections_csv.js';
import { evaluateFiles, readGroundTruth } from '../../src/evaluation/evaluate_files.js';
import type { AvaResults, ClipDetections } from '../../src/evaluation/types.js';
import { temporaryFolder } from '../support/temporary_files.js';
import { goldenExists, goldenJson, goldenPath, goldenTensors } from './golden.js';

const FOLDER = 'ava_eval';
const MEAN = 'PascalBoxes_Precision/mAP@0.5IOU';
const CLASS = 'PascalBoxes_PerformanceByCategory/AP@0.5IOU/';
const cases = goldenExists(FOLDER) ? readdirSync(goldenPath(FOLDER)) : [];

function files(name: string) {
  const path = (file: string) => goldenPath(FOLDER, name, file);
  return {
    files: {
      groundTruth: [path('gt.csv')],
      labelMap: path('label_map.pbtxt'),
      exclude: path('excluded.csv'),
    },
    detections: path('detections.csv'),
  };
}

function expectMetrics({ mAP, perClass }: AvaResults, metrics: Record<string, number | 'NaN'>): void {
  expect(mAP).toBeCloseTo(metrics[MEAN] as number, 12);
  const names = Object.keys(metrics).filter((key) => key.startsWith(CLASS));
  expect(perClass.map(({ name }) => CLASS + name).sort()).toEqual(names.sort());
  for (const { name, ap } of perClass) {
    const expected = metrics[CLASS + name];
    if (expected === 'NaN') expect(ap, name).toBeNull();
    else expect(ap, name).toBeCloseTo(expected, 12);
  }
}

/** A warning that is due if there are such rows, with their number. */
function expectCount(number: number, pattern: RegExp): [number, RegExp][] {
  return number > 0 ? [[number, pattern]] : [];
}

describe.skipIf(cases.length === 0)('the evaluation of CSV files', () => {
  it.each(cases)('gives the mean and the AP of every class: %s', (name) => {
    const { files: truth, detections } = files(name);
    expectMetrics(evaluateFiles(truth, detections), goldenJson(`${FOLDER}/${name}/expected.json`).metrics);
  });

  it.each(cases)('warns about rows without effect, and nothing else: %s', (name) => {
    const { files: truth, detections } = files(name);
    const rows = (file: string) =>
      readFileSync(file, 'utf8')
        .split(/\r?\n/)
        .filter((line) => line !== '')
        .map((line) => line.split(','));
    const known = new Set(readLabelMap(truth.labelMap).map(({ id }) => String(id)));
    const count = (file: string, isCounted: (row: string[]) => boolean) =>
      rows(file).filter(isCounted).length;
    const unknown = ([, , , , , , id]: string[]) => !known.has(id);
    const isFlat = ([, , x1, y1, x2, y2]: string[]) => !(Number(x1) < Number(x2) && Number(y1) < Number(y2));
    const counted = rows(detections).filter((row) => !unknown(row));
    const numRepeated = counted.length - new Set(counted.map((row) => row.join())).size;
    const expected = [
      ...expectCount(count(detections, isFlat), /^(\d+) of \d+ boxes of the predictions have no area/),
      ...expectCount(count(detections, unknown), /lacks .* of the predictions, in (\d+) of/),
      ...expectCount(numRepeated, /^(\d+) of \d+ evaluated rows of the predictions repeat/),
    ];
    const { warnings } = evaluateFiles(truth, detections);
    expect(warnings).toEqual(expected.map(([, pattern]) => expect.stringMatching(pattern)));
    expected.forEach(([number, pattern], i) => {
      expect(Number(pattern.exec(warnings[i])?.[1])).toBe(number);
    });
  });

  it.each(cases)('counts ground truth, scores and hits of every class: %s', (name) => {
    const expected = goldenJson(`${FOLDER}/${name}/expected.json`).per_class;
    if (!expected) return;
    const { files: truth, detections } = files(name);
    for (const { id, numGroundTruth, curve } of evaluateFiles(truth, detections).perClass) {
      const entry = expected[id];
      if (!entry) {
        expect([numGroundTruth, curve.scores.length]).toEqual([0, 0]);
        continue;
      }
      expect(numGroundTruth).toBe(entry.num_gt);
      const scores = [...entry.scores_in_add_order].sort((a: number, b: number) => b - a);
      expect([...curve.scores]).toEqual(scores);
      const hits = entry.tp_in_add_order.reduce((sum: number, hit: number) => sum + hit, 0);
      if (numGroundTruth > 0 && scores.length > 0) {
        expect(curve.recall.at(-1)).toBeCloseTo(hits / numGroundTruth, 12);
      }
    }
  });
});

const PREDICTIONS = `${FOLDER}/predictions/predictions.safetensors`;

describe.skipIf(!goldenExists(PREDICTIONS))('the predictions of a model', () => {
  const clips = (): ClipDetections[] => {
    const tensors = goldenTensors(PREDICTIONS);
    const keyframes: [string, number][] = goldenJson(`${FOLDER}/predictions/expected.json`).keyframes;
    return keyframes.map(([videoName, second], i) => {
      const boxes = tensors.get(`img${i}.boxes`)!;
      return {
        clip: { clipId: i, videoIndex: 0, videoName, second },
        detections: {
          boxes: boxes.data,
          personScores: new Float32Array(boxes.shape[0]).fill(1),
          actionScores: tensors.get(`img${i}.scores`)!.data,
        },
      };
    });
  };

  it('are written as the official CSV, byte for byte', () => {
    const folder = temporaryFolder();
    writeDetections(join(folder, 'detections.csv'), clips());
    const written = readFileSync(join(folder, 'detections.csv'), 'utf8');
    const { detections } = files('predictions');
    // The reference's ends of lines may have been changed on the way here.
    expect(written.replaceAll('\r\n', '\n')).toBe(readFileSync(detections, 'utf8').replaceAll('\r\n', '\n'));
    expect(written.endsWith('\r\n')).toBe(true);
  });

  it('are evaluated as if they had been read from the CSV', () => {
    const evaluator = new AvaEvaluator(readGroundTruth(files('predictions').files));
    for (const clip of clips()) evaluator.addClip(clip);
    expectMetrics(evaluator.results(), goldenJson(`${FOLDER}/predictions/expected.json`).metrics);
  });
});

const PUBLIC = fileURLToPath(new URL('../../../shared/public/ava_eval_mmaction2', import.meta.url));

describe.skipIf(!existsSync(PUBLIC))('the evaluation test of mmaction2', () => {
  it('gives the values of the official evaluator', () => {
    const { mAP, perClass, warnings } = evaluateFiles(
      { groundTruth: [join(PUBLIC, 'gt.csv')], labelMap: join(PUBLIC, 'action_list.txt') },
      join(PUBLIC, 'pred.csv'),
    );
    expect(warnings).toEqual([]);
    expect(mAP).toBeCloseTo(0.09385521885521886, 14);
    const expected = [0.17045454545454547, 0, 0.1111111111111111];
    perClass.forEach(({ ap }, i) => {
      expect(ap).toBeCloseTo(expected[i], 14);
    });
  });
});
