import { describe, expect, it } from 'vitest';
import { type AvaFolder, makeAvaFolder } from '../../../test/support/ava_folder.js';
import {
  BOX,
  checkFolder,
  configOf,
  LABEL_MAP,
  makeIntactFolder,
} from '../../../test/support/checked_folder.js';
import { loadConfig } from '../../config/index.js';
import { checkData, hasErrors } from './check.js';
import { checkJson, checkText } from './check_report.js';

describe('the settings to train with', () => {
  /** Writes the settings that a report ends with into a file, and loads it. */
  const pasted = (ava: AvaFolder, text: string) => {
    const yaml = text.slice(text.indexOf('# settings to train with'));
    const model = 'MAE-ViT-B';
    const file = ava.write(
      'pasted.yaml',
      yaml.replace('MODEL:\n', `MODEL:\n  BACKBONE: {CONV_BODY: ${model}}\n`),
    );
    return loadConfig(file, [
      'DATA.NUM_FRAMES',
      '4',
      'MODEL.STM.TEMPORAL_POINTS',
      '2',
      'DATA.SAMPLING_RATE',
      '1',
    ]).config;
  };

  it('are those of the configuration if they fit', async () => {
    const ava = await makeIntactFolder();
    const report = await checkFolder(ava);
    expect(report.settings).toEqual(configOf(ava));
    expect(JSON.parse(checkJson(report)).settings).toMatchObject({
      'DATA.PATH_TO_DATA_DIR': ava.folder,
      'AVA.FPS': 1,
      'SOLVER.ITER_PER_EPOCH': 1,
    });
  });

  it('fit own data that begin at 0, with key frames at every half second, and a check with them finds nothing wrong', async () => {
    const times = [0, 0.5, 1, 1.5, 2, 2.5, 3];
    const video = { frames: 8, width: 40, height: 24 };
    const ava = await makeAvaFolder({
      videos: { a: video, b: video },
      annotations: times.flatMap((time) => [`a,${time},${BOX},1,0`, `b,${time},${BOX},2,0`]),
    });
    ava.write(LABEL_MAP, 'item { name: "run" id: 1 }\nitem { name: "fall" id: 2 }\n');
    for (const name of ['a', 'b']) {
      const note = { start: 0, end: 900, fps: 2, shortSide: 340, frames: 8, source: 'x.mp4', bytes: 1 };
      ava.write(`frames/${name}/.prepared.json`, JSON.stringify(note));
    }
    const wrong = { 'AVA.FPS': 30, 'MODEL.STM.ACTION_CLASSES': 80, 'SOLVER.VIDEOS_PER_BATCH': 16 };
    const report = await checkFolder(ava, { ...wrong, 'SOLVER.ITER_PER_EPOCH': 23048 });
    expect(hasErrors(report)).toBe(true);
    const text = checkText(report, { colour: false, width: 100 });
    expect(text).toContain(
      '# settings to train with, once the errors are corrected\nDATA:\n  PATH_TO_DATA_DIR: ',
    );
    const right = pasted(ava, text);
    expect(right).toMatchObject({
      AVA: { FPS: 2, FIRST_SECOND: 0, LAST_SECOND: 1798, KEY_FRAME_STEP: 0.5, EXCLUSION_FILE: '' },
      MODEL: { STM: { ACTION_CLASSES: 2 } },
      SOLVER: { VIDEOS_PER_BATCH: 14, ITER_PER_EPOCH: 1 },
    });
    const again = await checkData(right);
    const wrongs = again.findings.filter(({ severity }) => severity !== 'note');
    expect(wrongs.map(({ kind }) => kind)).toEqual(['overlap']);
    expect(again.settings).toEqual(right);
  });

  it('begin where the frames were extracted', async () => {
    const ava = await makeAvaFolder({
      videos: { a: { frames: 8, width: 40, height: 24 } },
      annotations: [5, 6.5, 7].map((time) => `a,${time},${BOX},1,0`),
    });
    const note = { start: 5, end: 20, fps: 1, shortSide: 340, frames: 8, source: 'x.mp4', bytes: 1 };
    ava.write('frames/a/.prepared.json', JSON.stringify(note));
    expect((await checkFolder(ava)).settings?.AVA.FIRST_SECOND).toBe(5);
    const { findings, settings } = await checkFolder(ava, { 'AVA.FIRST_SECOND': 0 });
    expect(findings.find(({ kind }) => kind === 'first-second')).toMatchObject({
      examples: ['the frames of video a begin at second 5, but AVA.FIRST_SECOND is 0'],
      advice: expect.stringMatching(/^set AVA\.FIRST_SECOND 5,/),
    });
    expect(settings?.AVA.FIRST_SECOND).toBe(5);
    const right = await checkFolder(ava, { 'AVA.FIRST_SECOND': 5 });
    expect(right.findings.map(({ kind }) => kind)).not.toContain('first-second');
  });

  it('reach the last time within a video, and not one beyond its end', async () => {
    const ava = await makeAvaFolder({
      videos: { a: { frames: 8, width: 40, height: 24 } },
      annotations: [0, 5.5, 100].map((time) => `a,${time},${BOX},1,0`),
    });
    const { settings } = await checkFolder(ava, { 'AVA.FIRST_SECOND': 0, 'AVA.LAST_SECOND': 3 });
    expect(settings?.AVA).toMatchObject({ FIRST_SECOND: 0, LAST_SECOND: 6 });
  });
});
