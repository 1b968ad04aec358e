import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { stmixerHere } from '../../../test/support/cli.js';
import { columns, importInto } from '../../../test/support/imported.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { writeNote } from '../../data/datasets/preparation_note.js';

const { at, file } = temporaryFiles();
const bbox = [20, 10, 40, 50];

/** COCO json of numbered images, one box each; `more` are fields of each annotation. */
function coco(
  name: string,
  images: string[],
  more: Record<string, unknown> = {},
  categories = ['walk', 'sit'],
): string {
  return file(
    name,
    JSON.stringify({
      images: images.map((file_name, id) => ({ id, file_name })),
      categories: categories.map((label, i) => ({ id: i + 1, name: label })),
      annotations: images.map((_, image_id) => ({
        id: image_id,
        image_id,
        category_id: (image_id % categories.length) + 1,
        bbox,
        ...more,
      })),
    }),
  );
}

async function frames(folder: string, names: string[], size = { width: 200, height: 100 }): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const name of names)
    await sharp({ create: { ...size, channels: 3, background: 'grey' } })
      .jpeg()
      .toFile(join(folder, name));
}

const size = { width: 200, height: 100 };
const IMAGES = ['a/1.jpg', 'a/11.jpg', 'b/1.jpg', 'c/1.jpg'];

describe('data import', () => {
  it('refuses files of other kinds with one sentence each', async () => {
    const expected: [name: string, text: string, message: string | RegExp][] = [
      ['a.csv', 'a,902,0.1,0.1,0.2,0.2,1,0\n', "it is AVA's csv already, which needs no import"],
      ['b.txt', 'hello', 'it is none of the files that can be imported'],
      [
        'c.json',
        '{"shapes": [], "imagePath": "x.jpg"}',
        /seems to be an annotation of LabelMe.*COCO.*reads VIA's project/,
      ],
      ['c.xml', '<annotation>\n<folder>x</folder></annotation>', /seems to be an annotation of Pascal VOC/],
      ['c.txt', '0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.2\n', /seems to be the labels of YOLO/],
      [
        'c.csv',
        'video,id,box\na.mp4,1,"[{""framesCount"":75,""sequence"":[]}]"\n',
        /table .* of Label Studio: export the project as JSON/,
      ],
      ['d.json', '{"images": [', 'the JSON is damaged or cut off'],
      ['e.csv', ' \n', 'the file is empty'],
      ['f.zip', 'PK\u0003\u0004zip', 'it is an archive or a compressed file; unpack it'],
    ];
    for (const [name, text, message] of expected)
      await expect(importInto(at('out'), [file(name, text)])).rejects.toThrow(message);
    await expect(importInto(at('out'), [at('none.json')])).rejects.toThrow('cannot be read: no such file');
    const path = coco('g.json', IMAGES);
    await expect(importInto(at('out'), [path], { format: 'cvat' })).rejects.toThrow(
      'it is a COCO json, which is --format coco, not cvat',
    );
    expect(existsSync(at('out'))).toBe(false);
  });

  it('asks where the actions are if that is not clear, and follows the answer', async () => {
    const path = coco('a.json', IMAGES, { attributes: { speed: 'fast', clothes: 'red' } }, ['person', 'car']);
    await expect(importInto(at('out'), [path], { size, fps: 10 })).rejects.toThrow(
      /--actions-from with one of label \(person, car\), speed, clothes/,
    );
    const { lines, log } = await importInto(at('out'), [path], { size, fps: 10, actionsFrom: 'speed' });
    expect(lines('label_map.pbtxt')[1]).toBe('  name: "fast"');
    expect(log).toContain('the actions are in the attribute speed of boxes with the label person (1 action)');
    expect(log).toContain('left out: 2 boxes with the label car');
    const both = await importInto(at('both'), [path], {
      size,
      fps: 10,
      actionsFrom: 'speed,clothes',
      people: ['person', 'car'],
    });
    expect(both.lines()).toHaveLength(8);
    await expect(importInto(at('out'), [path], { actionsFrom: 'colour' })).rejects.toThrow(
      'no box has the attribute colour; expected label, speed, clothes',
    );
    await expect(importInto(at('out'), [path], { people: ['dog'] })).rejects.toThrow(
      'no box has the label dog; the labels are person, car',
    );
  });

  it('says that boxes have no actions', async () => {
    await expect(
      importInto(at('out'), [coco('a.json', IMAGES, {}, ['person'])], { size, fps: 10 }),
    ).rejects.toThrow('the boxes have no actions: they have only the label person');
  });

  it('divides the videos by name or at random, always in the same way', async () => {
    const path = coco('a.json', IMAGES);
    const named = await importInto(at('named'), [path], { size, fps: 10, valVideos: ['b'] });
    expect(named.lines('val.csv').map((line) => line[0])).toEqual(['b']);
    expect(named.lines('train.csv').map((line) => line[0])).toEqual(['a', 'a', 'c']);
    expect(named.log).toContain(`AVA.TRAIN_GT_BOX_LISTS "['train.csv']" AVA.TEST_GT_BOX_LISTS "['val.csv']"`);
    const drawn = await Promise.all(
      ['x', 'y'].map((name) => importInto(at(name), [path], { size, fps: 10, valFraction: 0.3, seed: 4 })),
    );
    expect(drawn[0].lines('val.csv')).toEqual(drawn[1].lines('val.csv'));
    expect(drawn[0].lines('val.csv').length).toBeGreaterThan(0);
    await expect(importInto(at('z'), [path], { size, fps: 10, valVideos: ['d'] })).rejects.toThrow(
      'there is no video d; the videos are a, b, c',
    );
    await expect(importInto(at('z'), [path], { size, fps: 10, valVideos: ['a', 'b', 'c'] })).rejects.toThrow(
      'no video is left for training',
    );
  });

  it('uses the ids of a label map, and names classes that it lacks', async () => {
    const path = coco('a.json', IMAGES);
    const map = file('map.pbtxt', 'item { name: "Sit" id: 11 }\nitem { name: "walk" id: 14 }\n');
    const { lines, log } = await importInto(at('out'), [path], { size, fps: 10, labelMap: map });
    expect(columns(lines(), 6)).toEqual(['14', '11', '14', '11']);
    expect(log).toContain('MODEL.STM.ACTION_CLASSES 14');
    const short = file('short.pbtxt', 'item { name: "walk" id: 14 }\n');
    await expect(importInto(at('out'), [path], { size, fps: 10, labelMap: short })).rejects.toThrow(
      `${short}: the label map has no class sit; add it`,
    );
  });

  it('counts seconds from --first-second, and names the setting', async () => {
    const { lines, log } = await importInto(at('out'), [coco('a.json', IMAGES)], {
      size,
      fps: 10,
      firstSecond: 900,
    });
    expect(lines()[1]).toMatch(/^a,0901,/);
    expect(log).toContain('AVA.FIRST_SECOND 900');
  });

  it('asks for the size and the rate that are not known, and for the right size', async () => {
    const path = coco('a.json', IMAGES);
    await expect(importInto(at('out'), [path], { fps: 10 })).rejects.toThrow(
      'the boxes are in pixels, but the size of the frames of a is not known: add --size <width>x<height>',
    );
    await expect(importInto(at('out'), [path], { fps: 10, size: { width: 50, height: 50 } })).rejects.toThrow(
      'a box of a reaches to 60, 60',
    );
  });

  it('reads sizes, rates and first numbers from the frames of the data set, and lists the frames', async () => {
    const folder = at('out', 'frames', 'a');
    await frames(folder, ['a_000001.jpg', 'a_000002.jpg', 'a_000003.jpg']);
    writeNote(folder, { start: 5, end: 8, fps: 1, shortSide: 340, frames: 3, source: 'a.mp4', bytes: 1 });
    const path = coco('a.json', ['a/a_000002.jpg', 'a/a_000003.jpg']);
    const { lines, log } = await importInto(at('out'), [path]);
    expect(lines()).toEqual([
      'a,0006,0.1000,0.1000,0.3000,0.6000,1,0',
      'a,0007,0.1000,0.1000,0.3000,0.6000,2,0',
    ]);
    expect(log).toContain('AVA.FIRST_SECOND 5 AVA.FPS 1');
    const list = readFileSync(at('out', 'frame_lists', 'all.csv'), 'utf8').split('\n');
    expect(list.slice(1, 3)).toEqual(['a 0 0 a/a_000001.jpg ""', 'a 0 1 a/a_000002.jpg ""']);
  });

  it('keeps annotations that exist, unless --overwrite is given', async () => {
    const path = coco('a.json', IMAGES);
    mkdirSync(at('out', 'annotations'), { recursive: true });
    writeFileSync(at('out', 'annotations', 'label_map.pbtxt'), 'item { name: "mine" id: 1 }\n');
    await expect(importInto(at('out'), [path], { size, fps: 10 })).rejects.toThrow(
      'label_map.pbtxt: exists already with other content; move it away, or replace it with --overwrite',
    );
    expect(existsSync(at('out', 'annotations', 'all.csv'))).toBe(false);
    const { lines } = await importInto(at('out'), [path], { size, fps: 10, overwrite: true });
    expect(lines('label_map.pbtxt')[1]).toBe('  name: "walk"');
    await importInto(at('out'), [path], { size, fps: 10 });
  });

  it('never empties a list of excluded key frames', async () => {
    mkdirSync(at('out', 'annotations'), { recursive: true });
    writeFileSync(at('out', 'annotations', 'excluded.csv'), 'a,0001\n');
    const { lines } = await importInto(at('out'), [coco('a.json', IMAGES)], {
      size,
      fps: 10,
      overwrite: true,
    });
    expect(lines('excluded.csv')).toEqual(['a,0001']);
  });

  it('asks for the name of a video that the file does not name', async () => {
    const path = coco('instances.json', ['frame_000000.PNG', 'frame_000010.PNG']);
    const { log } = await importInto(at('out'), [path], { size, fps: 10 });
    expect(log).toContain(
      `warning: ${path}: the file does not name its video, which is called instances here; add --video`,
    );
    const named = await importInto(at('named'), [path], { size, fps: 10, video: 'clip' });
    expect(named.lines().map((line) => line.slice(0, 9))).toEqual(['clip,0000', 'clip,0001']);
    expect(named.log).not.toContain('does not name');
  });

  it("warns of boxes in the first two seconds of AVA's time base", async () => {
    const { log } = await importInto(at('out'), [coco('a.json', IMAGES)], {
      size,
      fps: 10,
      firstSecond: 900,
    });
    expect(log).toContain('warning: 4 boxes before second 902 will not be used');
  });

  it('reads several files about several videos, and --video names a single one', async () => {
    const [a, b] = [coco('a.json', ['a/1.jpg']), coco('b.json', ['b/1.jpg'], {}, ['sit'])];
    const { lines } = await importInto(at('out'), [a, b], { size, fps: 10 });
    expect(columns(lines(), 0, 6)).toEqual(['a,1', 'b,2']);
    const named = await importInto(at('named'), [a], { size, fps: 10, video: 'street' });
    expect(named.lines()[0]).toMatch(/^street,/);
    await expect(
      importInto(at('x'), [coco('c.json', IMAGES)], { size, fps: 10, video: 'street' }),
    ).rejects.toThrow('--video names one video, but the file is about 3: a, b, c');
  });

  it('is a command with flags', async () => {
    const path = coco('a.json', IMAGES);
    const done = await stmixerHere([
      'data',
      'import',
      path,
      '--out',
      at('out'),
      '--size',
      '200x100',
      '--fps',
      '10',
      '--val-videos',
      'b',
    ]);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain(`Settings for this data: DATA.PATH_TO_DATA_DIR ${at('out')}`);
    const wrong = await stmixerHere(['data', 'import', path, '--out', at('out'), '--size', '200']);
    expect(wrong).toMatchObject({ code: 2 });
    expect(wrong.stderr).toContain('expected a width and a height in pixels, such as 1920x1080.');
  });
});
