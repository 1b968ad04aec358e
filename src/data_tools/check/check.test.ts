/** @file Tests of the check: that it agrees with what training does, and what it says about each kind of damage. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { AvaFolder } from '../../../test/support/ava_folder.js';
import {
  BOX,
  checkFolder,
  configOf,
  EXCLUSIONS,
  LABEL_MAP,
  makeIntactFolder,
  ROWS,
  TEST,
  TRAIN,
} from '../../../test/support/checked_folder.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { createTestLoader, createTrainLoader } from '../../data/loading/loader.js';
import { DataError } from '../../errors.js';
import { readGroundTruth } from '../../evaluation/evaluate_files.js';
import { Rng } from '../../util/random.js';
import { hasErrors } from './check.js';
import type { FindingKind, Severity } from './findings.js';

const LIST = 'frame_lists/train.csv';

/** Whether the loaders, every clip or the evaluator throw. */
async function trainingFails(ava: AvaFolder, changes: Record<string, unknown>): Promise<boolean> {
  const cfg = configOf(ava, changes);
  try {
    createTrainLoader(cfg, { seed: 0 }).close();
    createTestLoader(cfg).close();
    readGroundTruth({
      groundTruth: [join(ava.folder, TEST)],
      labelMap: join(ava.folder, LABEL_MAP),
      exclude: join(ava.folder, EXCLUSIONS),
    });
    for (const split of ['train', 'test'] as const) {
      const dataset = AvaDataset.open(cfg, split);
      for (let i = 0; i < dataset.length; i++) await dataset.load(i, new Rng(0));
    }
    return false;
  } catch (error) {
    if (error instanceof DataError) return true;
    throw error;
  }
}

const edit = (ava: AvaFolder, path: string, change: (text: string) => string) =>
  ava.write(path, change(readFileSync(join(ava.folder, path), 'utf8')));
const editLines = (ava: AvaFolder, path: string, change: (lines: string[]) => string[]) =>
  edit(ava, path, (text) => `${change(text.trimEnd().split('\n')).join('\n')}\n`);
const addRow = (path: string, row: string) => (ava: AvaFolder) => {
  edit(ava, path, (text) => `${text}${row}\n`);
};

interface Damage {
  does: string;
  damage(ava: AvaFolder): unknown;
  changes?: Record<string, unknown>;
  finds: FindingKind;
  severity: Severity;
  example?: RegExp;
}

/** Sixty labels with some names of AVA. */
function avaLabelMap(): string {
  const names = new Map([
    [1, 'bend/bow (at the waist)'],
    [8, 'lie/sleep'],
    [10, 'run/jog'],
    [11, 'sit'],
    [12, 'stand'],
    [14, 'walk'],
    [80, 'watch (a person)'],
  ]);
  const ids = [...Array(59).keys()].map((i) => i + 1).concat(80);
  return ids.map((id) => `item { name: "${names.get(id) ?? `action ${id}`}" id: ${id} }\n`).join('');
}

const DAMAGES: Damage[] = [
  {
    does: 'removes a frame that a clip uses',
    damage: (ava) => rmSync(ava.framePath('a', 3)),
    finds: 'missing-frame',
    severity: 'error',
    example: /a_000003\.jpg: video a, second 902/,
  },
  {
    does: 'removes a frame that no clip uses',
    damage: (ava) => rmSync(ava.framePath('b', 7)),
    finds: 'unused-missing',
    severity: 'warning',
    example: /b_000007\.jpg/,
  },
  {
    does: 'removes a folder of frames',
    damage: (ava) => renameSync(join(ava.folder, 'frames/b'), join(ava.folder, 'frames/c')),
    finds: 'frame-folder',
    severity: 'error',
    example: /frames\/b/,
  },
  {
    does: 'removes all frames',
    damage: (ava) => rmSync(join(ava.folder, 'frames'), { recursive: true }),
    finds: 'frame-folder',
    severity: 'error',
  },
  {
    does: 'removes a frame list',
    damage: (ava) => rmSync(join(ava.folder, LIST)),
    finds: 'file',
    severity: 'error',
    example: /train\.csv: cannot read the frame list/,
  },
  {
    does: 'removes the annotations',
    damage: (ava) => rmSync(join(ava.folder, TEST)),
    finds: 'file',
    severity: 'error',
  },
  { does: 'empties a frame list', damage: (ava) => ava.write(LIST, ''), finds: 'empty', severity: 'error' },
  {
    does: 'empties the annotations',
    damage: (ava) => ava.write(TRAIN, '\n'),
    finds: 'empty',
    severity: 'error',
  },
  {
    does: 'writes a path with a blank',
    damage: (ava) => edit(ava, LIST, (text) => text.replace('a/a_000002', 'a/a 000002')),
    finds: 'columns',
    severity: 'error',
    example: /train\.csv:4: expected 5 columns/,
  },
  {
    does: 'leaves a frame out of a list',
    damage: (ava) => editLines(ava, LIST, (lines) => lines.filter((line) => !line.includes('a_000004'))),
    finds: 'gap',
    severity: 'warning',
    example: /train\.csv:6: video a: a\/a_000005\.jpg comes after a\/a_000003\.jpg: 1 left out/,
  },
  {
    does: 'lists frames out of order',
    damage: (ava) =>
      editLines(ava, LIST, (lines) => [...lines.slice(0, 3), lines[4], lines[3], ...lines.slice(5)]),
    finds: 'order',
    severity: 'warning',
  },
  {
    does: 'lists frames twice',
    damage: (ava) => editLines(ava, LIST, (lines) => [...lines, ...lines.slice(1)]),
    finds: 'order',
    severity: 'warning',
    example: /a\/a_000000\.jpg comes after a\/a_000007\.jpg/,
  },
  {
    does: 'begins a list in the middle of a video',
    damage: (ava) => editLines(ava, LIST, (lines) => lines.filter((line) => !/a_00000[012]/.test(line))),
    finds: 'late-start',
    severity: 'warning',
    example: /train\.csv:2: video a: a\/a_000003/,
  },
  {
    does: 'leaves frames out at the end of a list',
    damage: (ava) => editLines(ava, LIST, (lines) => lines.filter((line) => !line.includes('b_000007'))),
    finds: 'unlisted',
    severity: 'note',
    example: /b\/b_000007\.jpg/,
  },
  {
    does: 'removes the header of a list',
    damage: (ava) => editLines(ava, LIST, (lines) => lines.slice(1)),
    finds: 'header',
    severity: 'warning',
  },
  {
    does: 'annotates a video without frames',
    damage: addRow(TRAIN, `z,903,${BOX},1,0`),
    finds: 'unknown-video',
    severity: 'error',
    example: /train_v2\.2\.csv:5: video z \(1 row\)/,
  },
  {
    does: 'leaves a video without annotation',
    damage: (ava) => editLines(ava, TEST, (lines) => lines.slice(0, 2)),
    finds: 'idle',
    severity: 'note',
    example: /^b$/,
  },
  {
    does: 'gives a box two persons',
    damage: addRow(TRAIN, `b,903,${BOX},3,7`),
    finds: 'several-persons',
    severity: 'warning',
    example: /train_v2\.2\.csv:5: video b, second 903: 0\.1,0\.2,0\.5,0\.8 is 7, and 0 before/,
  },
  {
    does: 'writes a box without an action',
    damage: addRow(TEST, 'a,904,0.5,0.2,0.7,0.8,,0'),
    finds: 'no-action',
    severity: 'note',
    example: /^video a, second 904$/,
  },
  {
    does: 'lists a frame list twice',
    damage: () => {},
    changes: { 'AVA.TRAIN_LISTS': ['train.csv', '../frame_lists/train.csv'] },
    finds: 'same-file',
    severity: 'warning',
    example: /^AVA\.TRAIN_LISTS names \S+train\.csv twice: its frames .*; name it once$/,
  },
  {
    does: 'lists the annotations of the test twice',
    damage: () => {},
    changes: { 'AVA.TEST_GT_BOX_LISTS': ['ava_val_v2.2.csv', 'ava_val_v2.2.csv'] },
    finds: 'same-file',
    severity: 'warning',
    example: /is given twice as ground truth: each box counts twice/,
  },
  {
    does: 'excludes a key frame',
    damage: (ava) => ava.write(EXCLUSIONS, 'a,0902\n'),
    finds: 'excluded',
    severity: 'note',
    example: /has 1 key frame and leaves out 1 of 3 of the ground truth \(first: "a" at 902\)/,
  },
  {
    does: 'excludes key frames of misspelled videos',
    damage: (ava) => ava.write(EXCLUSIONS, 'a.mp4,0902\n'),
    finds: 'idle-exclusions',
    severity: 'warning',
    example: /has no effect, .* without "\.mp4" 1 of 1 name of the list would fit/,
  },
  {
    does: 'excludes everything',
    damage: (ava) => ava.write(EXCLUSIONS, 'a,902\na,905\nb,903\n'),
    finds: 'idle-exclusions',
    severity: 'warning',
    example: /removes 3 of 3 key frames of the ground truth: it must name the key frames to leave out/,
  },
  {
    does: 'gives two actions one name',
    damage: (ava) => edit(ava, LABEL_MAP, (text) => text.replace('action 3', 'action 1')),
    finds: 'same-name',
    severity: 'warning',
    example: /"action 1" to 1, 3/,
  },
  {
    does: 'inverts a box',
    damage: addRow(TRAIN, 'a,904,0.5,0.2,0.1,0.8,1,0'),
    finds: 'box',
    severity: 'error',
  },
  {
    does: 'writes an empty box',
    damage: addRow(TEST, 'a,904,0.5,0.2,0.5,0.8,1,0'),
    finds: 'box',
    severity: 'error',
  },
  {
    does: 'writes a box in pixels',
    damage: addRow(TRAIN, 'a,904,10,20,30,40,1,0'),
    finds: 'box',
    severity: 'error',
  },
  {
    does: 'writes a box that reaches beyond the image',
    damage: addRow(TRAIN, 'a,904,-0.1,0.2,0.5,1.2,1,0'),
    finds: 'outside',
    severity: 'warning',
    example: /csv:5: video a, second 904: -0\.1,0\.2,0\.5,1\.2/,
  },
  {
    does: 'writes an action beyond the classes',
    damage: addRow(TRAIN, `a,904,${BOX},4,0`),
    finds: 'label',
    severity: 'error',
  },
  {
    does: 'writes an action that is not in the label map',
    damage: addRow(TRAIN, `a,904,${BOX},4,0`),
    changes: { 'MODEL.STM.ACTION_CLASSES': 5 },
    finds: 'outside-map',
    severity: 'note',
    example: /action 4/,
  },
  {
    does: 'has more classes than the label map',
    damage: () => {},
    changes: { 'MODEL.STM.ACTION_CLASSES': 80 },
    finds: 'unused-classes',
    severity: 'warning',
    example: /ACTION_CLASSES is 80, but the label map has 3 classes/,
  },
  {
    does: "has AVA's label map of 60 classes and the 80 classes of AVA",
    damage: (ava) => ava.write(LABEL_MAP, avaLabelMap()),
    changes: { 'MODEL.STM.ACTION_CLASSES': 80 },
    finds: 'more-classes',
    severity: 'note',
  },
  {
    does: 'has an epoch of many data passes',
    damage: () => {},
    changes: { 'SOLVER.ITER_PER_EPOCH': 23048 },
    finds: 'epoch',
    severity: 'warning',
    example: /set SOLVER\.ITER_PER_EPOCH 1 for one data pass/,
  },
  {
    does: 'has a key frame between the steps',
    damage: addRow(TRAIN, `a,904.37,${BOX},1,0`),
    finds: 'off-grid',
    severity: 'warning',
    example: /video a, second 904\.37/,
  },
  {
    does: 'has a label map beyond the classes',
    damage: addRow(LABEL_MAP, 'item { name: "far" id: 7 }'),
    finds: 'map-beyond-classes',
    severity: 'warning',
    example: /7 far, of 3/,
  },
  {
    does: 'has a class without examples',
    damage: (ava) => edit(ava, TRAIN, (text) => text.replaceAll('0.8,2,0', '0.8,1,0')),
    finds: 'untrained-class',
    severity: 'warning',
    example: /2 action 2/,
  },
  {
    does: 'removes the label map',
    damage: (ava) => rmSync(join(ava.folder, LABEL_MAP)),
    finds: 'label-map',
    severity: 'error',
  },
  {
    does: 'breaks the label map',
    damage: addRow(LABEL_MAP, 'item {'),
    finds: 'label-map',
    severity: 'error',
  },
  {
    does: 'removes the exclusions',
    damage: (ava) => rmSync(join(ava.folder, EXCLUSIONS)),
    finds: 'exclusions',
    severity: 'error',
  },
  { does: 'breaks the exclusions', damage: addRow(EXCLUSIONS, 'a'), finds: 'exclusions', severity: 'error' },
  {
    does: 'empties the exclusions',
    damage: (ava) => ava.write(EXCLUSIONS, ''),
    finds: 'no-exclusions',
    severity: 'note',
  },
  {
    does: 'annotates a second that is not used',
    damage: addRow(TRAIN, `a,901,${BOX},1,0`),
    finds: 'skipped',
    severity: 'warning',
    example: /csv:5: video a, second 901/,
  },
  {
    does: 'counts seconds from 0',
    damage: (ava) => editLines(ava, TRAIN, (lines) => lines.map((line) => line.replace(',90', ','))),
    finds: 'out-of-range',
    severity: 'error',
  },
  {
    does: 'annotates beyond the end of a video',
    damage: addRow(TRAIN, `a,950,${BOX},1,0`),
    finds: 'beyond-end',
    severity: 'warning',
    example: /video a, second 950 is frame 50 of 8/,
  },
  { does: 'repeats a row', damage: addRow(TRAIN, ROWS[0]), finds: 'repeated', severity: 'warning' },
  {
    does: 'writes a box in two ways',
    damage: addRow(TRAIN, 'a,902,0.10,0.2,0.5,0.8,2,0'),
    finds: 'same-box',
    severity: 'warning',
  },
  {
    does: 'has more boxes than queries',
    damage: addRow(TRAIN, 'a,902,0.3,0.2,0.5,0.8,2,0'),
    changes: { 'MODEL.STM.NUM_QUERIES': 1 },
    finds: 'crowded',
    severity: 'warning',
  },
  {
    does: 'has fewer key frames than a batch',
    damage: () => {},
    changes: { 'SOLVER.VIDEOS_PER_BATCH': 2, 'SOLVER.ACCUMULATE': 2 },
    finds: 'small-data',
    severity: 'error',
  },
  {
    does: 'has too few key frames of one shape',
    damage: (ava) => editLines(ava, TRAIN, (lines) => [lines[0], lines[2]]),
    changes: { 'DATALOADER.ASPECT_RATIO_GROUPING': true },
    finds: 'small-data',
    severity: 'error',
  },
  {
    does: 'cuts a frame',
    damage: (ava) => cut(ava.framePath('a', 2)),
    finds: 'broken-picture',
    severity: 'error',
    example: /a_000002\.jpg: video a, frame 2: the JPEG image is truncated/,
  },
  {
    does: 'empties a frame',
    damage: (ava) => writeFileSync(ava.framePath('b', 2), ''),
    finds: 'broken-picture',
    severity: 'error',
  },
  {
    does: 'makes a text of the frame that tells the shape',
    damage: (ava) => writeFileSync(ava.framePath('a', 2), 'no image'),
    changes: { 'DATALOADER.ASPECT_RATIO_GROUPING': true, 'SOLVER.VIDEOS_PER_BATCH': 1 },
    finds: 'no-shape',
    severity: 'error',
  },
  {
    does: 'cuts a frame that no clip uses',
    damage: (ava) => cut(ava.framePath('b', 7)),
    finds: 'overlap',
    severity: 'warning',
  },
  {
    does: 'gives a frame of a clip another size',
    damage: (ava) => resize(ava.framePath('a', 2)),
    finds: 'mixed-clip',
    severity: 'error',
    example: /video a, second 902/,
  },
  {
    does: 'gives clips of a video different sizes',
    damage: async (ava) => {
      for (const path of [TRAIN, TEST]) addRow(path, `b,907,${BOX},1,0`)(ava);
      for (const frame of [5, 6, 7]) await resize(ava.framePath('b', frame));
    },
    finds: 'mixed-video',
    severity: 'warning',
    example: /video b: frame 1 has 24×30 pixels, frame 5 has 20×20/,
  },
];

function cut(path: string): void {
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(0, whole.length - 80));
}

async function resize(path: string): Promise<void> {
  writeFileSync(path, await sharp(readFileSync(path)).resize(20, 20, { fit: 'fill' }).jpeg().toBuffer());
}

describe('checkData', () => {
  it('finds no serious problem in intact data', async () => {
    const report = await checkFolder(await makeIntactFolder());
    expect(report.findings.map(({ kind }) => kind)).toEqual(['overlap', 'from-0', 'from-0', 'excluded']);
    expect(hasErrors(report)).toBe(false);
    const numbers = { videos: 2, frames: 16, keyFrames: 3, boxes: 3, labels: 4 };
    expect(report.splits).toEqual({ train: numbers, test: numbers });
    expect(report.classes).toEqual([
      { id: 1, name: 'action 1', train: 2, test: 2 },
      { id: 2, name: 'action 2', train: 1, test: 1 },
      { id: 3, name: 'action 3', train: 1, test: 1 },
    ]);
  });

  it.each(DAMAGES)('agrees with training if something $does: $finds', async (testCase) => {
    const ava = await makeIntactFolder();
    await testCase.damage(ava);
    const report = await checkFolder(ava, testCase.changes);
    const found = report.findings.filter(({ kind }) => kind === testCase.finds);
    expect(found.map(({ severity }) => severity)).toContain(testCase.severity);
    if (testCase.example) expect(found[0].examples[0]).toMatch(testCase.example);
    expect(hasErrors(report)).toBe(await trainingFails(ava, testCase.changes ?? {}));
  });

  it('agrees with training under every pair of damages', async () => {
    // A few hundred pairs would take minutes; every damage is in two of these.
    const step = Math.floor(DAMAGES.length / 2);
    for (let i = 0; i < DAMAGES.length; i += 3) {
      const [one, other] = [DAMAGES[i], DAMAGES[(i + step) % DAMAGES.length]];
      const ava = await makeIntactFolder();
      try {
        await one.damage(ava);
        await other.damage(ava);
      } catch {
        // The first damage took away what the second would change.
        continue;
      }
      const changes = { ...one.changes, ...other.changes };
      const expected = await trainingFails(ava, changes);
      expect([one.does, other.does, hasErrors(await checkFolder(ava, changes))]).toEqual([
        one.does,
        other.does,
        expected,
      ]);
    }
  }, 120_000);

  it('reports everything at once', async () => {
    const ava = await makeIntactFolder();
    rmSync(ava.framePath('a', 3));
    rmSync(join(ava.folder, TEST));
    for (const row of [`z,903,${BOX},1,0`, 'a,904,0.5,0.2,0.1,0.8,1,0', `a,904,${BOX},9,0`])
      addRow(TRAIN, row)(ava);
    const errors = (await checkFolder(ava)).findings.filter(({ severity }) => severity === 'error');
    expect(errors.map(({ split, kind }) => `${split} ${kind}`)).toEqual([
      'train box',
      'train label',
      'train unknown-video',
      'train missing-frame',
      'test file',
    ]);
  });

  it('tolerates broken frames if training skips them', async () => {
    const ava = await makeIntactFolder();
    cut(ava.framePath('a', 2));
    const report = await checkFolder(ava, { 'DATALOADER.ON_ERROR': 'skip' });
    expect(hasErrors(report)).toBe(false);
    expect(report.findings.find(({ kind }) => kind === 'broken-picture')?.severity).toBe('warning');
  });
});
