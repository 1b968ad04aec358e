import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stmixerHere } from '../../../test/support/cli.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { type ListOptions, listFrameFolders } from './list_frames.js';

const { at } = temporaryFiles();

/** Writes files that are not read. */
function touch(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), 'x');
  }
}

async function list(folder: string, options: Partial<ListOptions> = {}): Promise<string> {
  const messages: string[] = [];
  const log = {
    info: (text: string) => messages.push(text),
    warn: (text: string) => messages.push(`warning: ${text}`),
  };
  await listFrameFolders({ frames: at(folder), out: at('data'), log, ...options });
  return messages.join('\n');
}

/** The rows of a list after its header. */
const rows = (name = 'all') =>
  readFileSync(at('data', 'frame_lists', `${name}.csv`), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1);

describe('data list', () => {
  it('orders frames by their numbers, whatever their names are', async () => {
    touch(...[0, 1, 2, 10].map((i) => `data/frames/a/${i}.jpg`));
    touch(
      ...[1, 2].map((i) => `data/frames/b/img_0000${i}.png`),
      ...[7, 8].map((i) => `data/frames/v10/frame${i}.jpg`),
      'data/frames/v2/v2_000001.JPG',
    );
    const log = await list('data/frames');
    expect(rows()).toEqual([
      'a 0 0 a/0.jpg ""',
      'a 0 1 a/1.jpg ""',
      'a 0 2 a/2.jpg ""',
      'a 0 3 a/10.jpg ""',
      'b 1 0 b/img_00001.png ""',
      'b 1 1 b/img_00002.png ""',
      'v2 2 0 v2/v2_000001.JPG ""',
      'v10 3 0 v10/frame7.jpg ""',
      'v10 3 1 v10/frame8.jpg ""',
    ]);
    expect(log).toContain(
      `warning: ${at('data/frames/a')}: 7 numbers are missing among the frames (gap: 2.jpg, 10.jpg)`,
    );
    expect(log).toContain(
      `Settings for these frames: DATA.PATH_TO_DATA_DIR ${at('data')} AVA.TRAIN_LISTS "['all.csv']" AVA.TEST_LISTS "['all.csv']" AVA.FPS 30 AVA.FIRST_SECOND 0`,
    );
    expect(log).toContain('30 is assumed; add --fps');
    expect(log).toContain('the first frame is frame7.jpg, which is taken for the beginning of the video');
  });

  it('names stray files, and uses one of two files of a frame', async () => {
    touch('f/a/1.jpg', 'f/a/2.jpg', 'f/a/2.png', 'f/a/notes.txt', 'f/a/Thumbs.db', 'f/a/cover.jpg');
    const log = await list('f', { fps: 25 });
    expect(log).toContain(
      '1 frame has several files with different extensions (first: 2.jpg, 2.png); one file of each is used (2.jpg)',
    );
    expect(log).toContain('1 image has no number in the name (first: cover.jpg)');
    expect(log).toMatch(/not frames, and in no list: .*text or document \(.*notes\.txt\)/);
    expect(log).toContain(`AVA.FRAME_DIR ${at('f')} `);
    expect(log).toContain('AVA.FPS 25');
    expect(log).not.toContain('is assumed');
  });

  it('names folders whose images cannot be read as frames', async () => {
    touch('odd/a/1.jpg', 'odd/a/2.jpg', 'odd/b/1.bmp', 'odd/b/2.bmp');
    expect(await list('odd')).toMatch(
      /warning: \S+odd\/b is in no list, because its images cannot be read .*1\.bmp\); convert them/,
    );
    touch('bmp/a/1.bmp');
    await expect(list('bmp')).rejects.toThrow(/there are no images in this folder.*bmp\/a is in no list/);
  });

  it('makes a list of each part in folders named train and val', async () => {
    touch('f/train/deep/a/1.jpg', 'f/train/b/1.jpg', 'f/validation/c/1.jpg');
    const log = await list('f');
    expect(rows('train')).toEqual(['b 0 0 train/b/1.jpg ""', 'a 1 0 train/deep/a/1.jpg ""']);
    expect(rows('val')).toEqual(['c 0 0 validation/c/1.jpg ""']);
    expect(log).toContain(`AVA.TRAIN_LISTS "['train.csv']" AVA.TEST_LISTS "['val.csv']"`);
  });

  it('divides the videos by name or at random', async () => {
    touch('f/a/1.jpg', 'f/b/1.jpg', 'f/c/1.jpg', 'f/d/1.jpg');
    await list('f', { valVideos: ['c'] });
    expect([rows('train').length, rows('val')]).toEqual([3, ['c 0 0 c/1.jpg ""']]);
    await list('f', { valFraction: 0.5, overwrite: true });
    expect([rows('train').length, rows('val').length]).toEqual([2, 2]);
  });

  it('uses paths as names if folders have the same name, and takes a single folder of frames', async () => {
    touch('f/x/cam/1.jpg', 'f/y/cam/1.jpg');
    await list('f');
    expect(rows()).toEqual(['x/cam 0 0 x/cam/1.jpg ""', 'y/cam 1 0 y/cam/1.jpg ""']);
    await list('f/x/cam', { overwrite: true });
    expect(rows()).toEqual(['cam 0 0 cam/1.jpg ""']);
  });

  it('refuses names that do not fit into lists, folders without frames, and lists that exist', async () => {
    touch('f/my video/1.jpg', 'f/b/1 (2).jpg');
    await expect(list('f')).rejects.toThrow(
      /2 problems in the data:[\s\S]*b\/1 \(2\)\.jpg: names cannot have spaces[\s\S]*e\.g\. to my_video/,
    );
    touch('g/readme.txt', 'h/a/1.jpg', 'i/1.jpg', 'i/a/1.jpg');
    await expect(list('g')).rejects.toThrow('there are no images in this folder or in folders below it');
    await expect(list('none')).rejects.toThrow('cannot list the frames: no such file or folder');
    await expect(list('i')).rejects.toThrow('there are images beside the folders of frames (first: 1.jpg)');
    await list('h');
    await expect(list('h')).rejects.toThrow(
      'all.csv: exists already; move it away, choose another --out, or replace it with --overwrite',
    );
  });

  it('is a command with flags', async () => {
    touch('f/a/1.jpg', 'f/b/1.jpg');
    const command = ['data', 'list', at('f'), '--out', at('data'), '--val-videos', 'b'];
    const done = await stmixerHere([...command, '--fps', '10']);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain('AVA.FPS 10');
    const both = await stmixerHere([...command, '--val-fraction', '0.5']);
    expect(both.code).toBe(2);
  });
});
