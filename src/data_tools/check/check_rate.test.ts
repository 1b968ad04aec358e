import { describe, expect, it } from 'vitest';
import { makeAvaFolder } from '../../../test/support/ava_folder.js';
import { BOX, checkFolder, makeIntactFolder } from '../../../test/support/checked_folder.js';

describe('the frame rate', () => {
  it('proposes a frame rate if frames end before the annotations', async () => {
    const ava = await makeAvaFolder({
      videos: { a: { frames: 60, width: 32, height: 24 } },
      annotations: [`a,902,${BOX},1,0`, `a,905,${BOX},1,0`],
    });
    const at = async (fps: number) => (await checkFolder(ava, { 'AVA.FPS': fps })).findings;
    expect((await at(30)).find(({ kind }) => kind === 'beyond-end')?.advice).toMatch(
      /AVA\.FPS 10 would fit all/,
    );
    expect((await at(10)).map(({ kind }) => kind)).not.toContain('long-video');
    expect((await at(2)).find(({ kind }) => kind === 'long-video')?.examples[0]).toMatch(
      /60 frames, 30 s at AVA\.FPS 2/,
    );
  });

  it('names late rows instead of proposing a frame rate that they do not show', async () => {
    const seconds = [902, 903, 904, 905, 906, 907, 908, 909];
    const at = async (late: readonly number[]) => {
      const ava = await makeAvaFolder({
        videos: { a: { frames: 10, width: 32, height: 24 } },
        annotations: [...seconds, ...late].map((second) => `a,${second},${BOX},1,0`),
      });
      return (await checkFolder(ava)).findings.find(({ kind }) => kind === 'beyond-end');
    };
    const one = await at([912]);
    expect(one?.examples).toEqual([
      expect.stringMatching(/train_v2\.2\.csv:9: video a, second 912 is frame 12 of 10$/),
    ]);
    expect(one?.advice).toMatch(/correct the second of this row/);
    expect((await at([950, 951, 952]))?.advice).toMatch(/correct the seconds of these rows/);
  });

  it('proposes a frame rate if the end of most videos comes early, but not one that frames were prepared with', async () => {
    const ava = await makeAvaFolder({
      videos: { a: { frames: 50, width: 32, height: 24 } },
      annotations: [902, 903, 904, 905, 906, 907, 908, 909].map((second) => `a,${second},${BOX},1,0`),
    });
    const advice = async () =>
      (await checkFolder(ava, { 'AVA.FPS': 8 })).findings.find(({ kind }) => kind === 'beyond-end')?.advice;
    expect(await advice()).toMatch(/AVA\.FPS 5 would fit all/);
    ava.write(
      'frames/a/.prepared.json',
      JSON.stringify({ start: 0, end: 900, fps: 8, shortSide: 340, frames: 50 }),
    );
    expect(await advice()).toMatch(/extract them again/);
  });

  it('recognises the frame rate that frames were prepared with', async () => {
    const ava = await makeIntactFolder();
    ava.write(
      'frames/a/.prepared.json',
      JSON.stringify({ start: 0, end: 900, fps: 25, shortSide: 340, frames: 8 }),
    );
    const finding = (await checkFolder(ava)).findings.find(({ kind }) => kind === 'fps');
    expect(finding).toMatchObject({ severity: 'warning', advice: expect.stringContaining('AVA.FPS 25') });
  });
});
