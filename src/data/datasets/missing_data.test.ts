/** @file Data sets of which only a part is there, with DATA.MISSING skip. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AvaFolder, makeAvaFolder } from '../../../test/support/ava_folder.js';
import { checkData, hasErrors } from '../../data_tools/check/check.js';
import { groundTruthFiles, readPresentGroundTruth } from '../../evaluation/evaluate_files.js';
import { EvaluationSet } from '../../evaluation/evaluation_set.js';
import { resultsJson, summary } from '../../evaluation/results.js';
import { createTrainLoader } from '../loading/loader.js';
import { AvaDataset } from './ava_dataset.js';

const BOX = '0.1,0.2,0.5,0.8';
const LABEL_MAP = 'annotations_v2.2/ava_action_list_v2.2_for_activitynet_2019.pbtxt';
const EXCLUSIONS = 'annotations_v2.2/ava_val_excluded_timestamps_v2.2.csv';
const SKIP = { 'DATA.MISSING': 'skip', 'MODEL.STM.ACTION_CLASSES': 3, 'AVA.FIRST_SECOND': 0 };

/** Three videos of 30 frames with annotations at seconds 3, 10 and 20.5; c has no frames, d is in no list, b lacks frame 20. */
async function partOfData(): Promise<AvaFolder> {
  const size = { frames: 30, width: 40, height: 24 };
  const ava = await makeAvaFolder({
    videos: { a: size, b: size, c: size },
    annotations: ['a', 'b', 'c', 'd'].flatMap((name) => [
      `${name},3,${BOX},1,0`,
      `${name},10,${BOX},1,0`,
      `${name},10,0.5,0.2,0.9,0.8,2,0`,
      `${name},20.5,${BOX},3,0`,
    ]),
  });
  ava.write(LABEL_MAP, [1, 2, 3].map((id) => `item { name: "action ${id}" id: ${id} }\n`).join(''));
  ava.write(EXCLUSIONS, 'c,10\n');
  rmSync(join(ava.folder, 'frames/c'), { recursive: true });
  rmSync(ava.framePath('b', 20));
  return ava;
}

const SENTENCE =
  'DATA.MISSING skip leaves out 2 of 4 annotated videos (without frames: c; in no frame list: d) and 1 clip of other ' +
  'videos that lacks frames (first: b at second 20.5): 7 of 12 key frames with 9 of 16 boxes';

describe('DATA.MISSING skip', () => {
  it('leaves out videos without frames or lists and clips without all frames, and says how many', async () => {
    const ava = await partOfData();
    const dataset = AvaDataset.open(ava.config(SKIP), 'train');
    const clips = dataset.keyFrames.map(
      ({ videoIndex, second }) => `${dataset.videos[videoIndex].name} ${second}`,
    );
    expect(clips).toEqual(['a 3', 'a 10', 'a 20.5', 'b 3', 'b 10']);
    expect(dataset.warnings).toEqual([`train lists: ${SENTENCE}`]);
    const loader = createTrainLoader(ava.config(SKIP), { seed: 0 });
    const { value } = await loader.next();
    expect(value?.clips).toHaveLength(2);
    await loader.close();
  });

  it('leaves the ground truth of what is missing out of the evaluation, and says so in its results', async () => {
    const ava = await partOfData();
    const cfg = ava.config(SKIP);
    const set = new EvaluationSet(cfg);
    expect(set.warnings).toEqual([`test lists: ${SENTENCE}`]);
    expect(set.notes).toEqual([]);
    const leftOut = set.dataset.leftOut!;
    const { boxes, summary: rows } = readPresentGroundTruth(groundTruthFiles(cfg), leftOut);
    expect([...boxes.keys()]).toEqual(['a,0003', 'a,0010', 'a,0020.5', 'b,0003', 'b,0010']);
    expect(rows.rows).toBe(7);
    const results = { mAP: 0.5, perClass: [], leftOut };
    expect(resultsJson(results)).toMatchObject({
      left_out: {
        videos: 2,
        of_videos: 4,
        key_frames: 7,
        of_key_frames: 12,
        boxes: 9,
        of_boxes: 16,
        first_videos: ['c', 'd'],
      },
    });
    expect(summary(results)).toContain('only 2 of 4 videos and 5 of 12 key frames are evaluated');
  });

  it('is what the error proposes without it', async () => {
    const ava = await partOfData();
    const stop = ava.config({ ...SKIP, 'DATA.MISSING': 'stop' });
    expect(() => AvaDataset.open(stop, 'train')).toThrow(
      /video d .*set DATA\.MISSING skip to leave the video out/,
    );
    for (const name of ['train', 'val']) {
      const path = `annotations_v2.2/ava_${name}_v2.2.csv`;
      const rows = readFileSync(join(ava.folder, path), 'utf8').split('\n');
      ava.write(path, rows.filter((row) => !row.startsWith('d')).join('\n'));
    }
    expect(() => AvaDataset.open(stop, 'train')).toThrow(
      /b_000020\.jpg: video b, second 20\.5[\s\S]*frames\/c: .*\n {2}→ DATA\.MISSING skip leaves out what is missing/,
    );
  });

  it('changes nothing if all is there', async () => {
    const ava = await makeAvaFolder({
      videos: { a: { frames: 8, width: 40, height: 24 } },
      annotations: [`a,902,${BOX},1,0`],
    });
    const dataset = AvaDataset.open(ava.config({ 'DATA.MISSING': 'skip' }), 'train');
    expect([dataset.length, dataset.leftOut, dataset.warnings]).toEqual([1, null, []]);
  });

  it('is an error if nothing is left', async () => {
    const ava = await partOfData();
    for (const name of ['a', 'b']) rmSync(join(ava.folder, 'frames', name), { recursive: true });
    const open = () => AvaDataset.open(ava.config(SKIP), 'train');
    expect(open).toThrow(
      /^nothing is left of 4 annotated videos with DATA\.MISSING skip: a, b, c without frames in .*frames, d in no/,
    );
    rmSync(join(ava.folder, 'frames'), { recursive: true });
    expect(open).toThrow(/frames: there is no such folder/);
    mkdirSync(join(ava.folder, 'frames'));
    expect(open).toThrow(/^nothing is left/);
  });

  it('turns the errors of the check into one warning', async () => {
    const ava = await partOfData();
    const stop = await checkData(ava.config({ ...SKIP, 'DATA.MISSING': 'stop' }));
    expect(hasErrors(stop)).toBe(true);
    expect(stop.findings.find(({ kind }) => kind === 'missing-frame')?.advice).toMatch(/DATA\.MISSING skip/);
    const skip = await checkData(ava.config(SKIP));
    expect(hasErrors(skip)).toBe(false);
    expect(
      skip.findings.filter(({ kind }) => kind === 'left-out').map(({ examples }) => examples[0]),
    ).toEqual([`train lists: ${SENTENCE}`, `test lists: ${SENTENCE}`]);
    expect(skip.splits.train).toMatchObject({ videos: 2, keyFrames: 5, boxes: 7 });
  });
});
