/** @file Advice about annotations and frames of one's own: `data import` and `data list`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeNote } from '../../../src/data/datasets/preparation_note.js';
import { type Advice, commandLine, found, type Outcome, settings } from './advice.js';

/** COCO's json of one numbered image per video. */
function coco(
  folder: string,
  { images, attributes = {} }: { images: string[]; attributes?: object },
): string {
  const path = join(folder, 'coco.json');
  const json = {
    images: images.map((file_name, id) => ({ id, file_name, width: 20, height: 10 })),
    categories: ['walk', 'sit'].map((name, id) => ({ id, name })),
    annotations: images.map((_, id) => ({
      id,
      image_id: id,
      category_id: id % 2,
      bbox: [1, 1, 5, 5],
      attributes,
    })),
  };
  writeFileSync(path, JSON.stringify(json));
  return path;
}

/** `stmixer data import` with these flags. */
function importFile(folder: string, path: string, words = ''): Promise<Outcome> {
  const flags = words.split(' ').filter(Boolean);
  return commandLine('data', 'import', path, '--out', join(folder, 'data'), ...flags);
}

const IMAGES = ['a/1.jpg', 'b/1.jpg'];

/** A case of COCO's json that is imported with the flags `wrong`, and then with others. */
function importing(
  says: string,
  wrong: string,
  right: string,
  file: Partial<Parameters<typeof coco>[1]> = {},
): Advice {
  const path = (folder: string) => coco(folder, { images: IMAGES, ...file });
  const flags = (words: string, folder: string) => `--fps 10 ${words}`.replaceAll('{}', folder);
  return {
    says,
    meet: (folder) => {
      writeFileSync(join(folder, 'map.pbtxt'), 'item { name: "walk" id: 1 }\n');
      return importFile(folder, path(folder), flags(wrong, folder));
    },
    follow: (folder) => importFile(folder, path(folder), flags(right, folder)),
  };
}

/** A task of CVAT whose video is not there. */
function cvat(folder: string): string {
  const path = join(folder, 'cvat.xml');
  const box = '<box frame="0" keyframe="1" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"/>';
  writeFileSync(
    path,
    `<annotations><meta><task><id>1</id><source>clip.mp4</source></task></meta><track id="0" label="walk">${box}</track></annotations>`,
  );
  return path;
}

/** Folders of frames. */
function frames(folder: string): string {
  for (const name of ['a', 'b']) {
    mkdirSync(join(folder, 'frames', name), { recursive: true });
    writeFileSync(join(folder, 'frames', name, '1.jpg'), 'x');
  }
  return join(folder, 'frames');
}

function list(folder: string, path: string, ...flags: string[]): Promise<Outcome> {
  return commandLine('data', 'list', path, '--out', join(folder, 'data'), ...flags);
}

/** The words of a line of settings, without the quotes of the shell. */
function settingsIn(text: string, name: string): string[] {
  const line = found(text, new RegExp(`Settings for ${name}: (.+)`));
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
}

const IMPORTS: readonly Advice[] = [
  importing('it is not clear where the actions are', '', '--actions-from speed', {
    attributes: { speed: 'fast', hat: 'red' },
  }),
  importing('no box has the attribute colour', '--actions-from colour', '--actions-from label'),
  importing('add --first-frame if its first frame has another number', '', '--first-frame 5 --overwrite', {
    images: ['a/5.jpg', 'b/5.jpg'],
  }),
  importing('the file does not name its video', '', '--video a --overwrite', { images: ['frame_1.jpg'] }),
  importing('will not be used: as in AVA', '--first-second 900', '--first-second 0 --overwrite'),
  importing('there is no such folder', '--videos {}/none', '--videos {}'),
  importing('/map.pbtxt: cannot be read', '--videos {}/map.pbtxt', '--videos {}'),
  importing('--video names one video', '--video a', ''),
  importing('the label map has no class sit', '--label-map {}/map.pbtxt', ''),
  importing('All videos are in one list', '', '--val-videos b --overwrite'),
  {
    says: 'but the frames per second of video clip are not known',
    meet: (folder) => importFile(folder, cvat(folder), '--size 20x10'),
    follow: (folder) => importFile(folder, cvat(folder), '--size 20x10 --fps 10'),
  },
  {
    says: 'but the size of video clip is not known',
    meet: (folder) => importFile(folder, cvat(folder), '--fps 10'),
    follow: (folder) => importFile(folder, cvat(folder), '--size 20x10 --fps 10'),
  },
  {
    says: 'reaches to 5, 5',
    meet: (folder) => importFile(folder, cvat(folder), '--fps 10 --size 4x4'),
    follow: (folder) => importFile(folder, cvat(folder), '--size 20x10 --fps 10'),
  },
  {
    says: 'exists already with other content',
    async meet(folder) {
      mkdirSync(join(folder, 'data', 'annotations'), { recursive: true });
      writeFileSync(join(folder, 'data', 'annotations', 'all.csv'), 'mine');
      return importFile(folder, coco(folder, { images: IMAGES }), '--fps 10');
    },
    follow: (folder) => importFile(folder, coco(folder, { images: IMAGES }), '--fps 10 --overwrite'),
  },
  {
    says: 'AVA.KEY_FRAME_STEP 0.5',
    meet(folder) {
      const prepared = join(folder, 'data', 'frames', 'a');
      mkdirSync(prepared, { recursive: true });
      writeFileSync(join(prepared, '1.jpg'), 'x');
      writeNote(prepared, {
        start: 0,
        end: 9,
        fps: 10,
        shortSide: 340,
        frames: 1,
        source: 'a.mp4',
        bytes: 1,
      });
      return importFile(folder, coco(folder, { images: ['a/1.jpg'] }), '--step 0.5 --first-second 1800');
    },
    follow: (_, text) => settings(...settingsIn(text, 'this data')),
  },
];

const LISTS: readonly Advice[] = [
  {
    says: 'expected one folder of frames for each video',
    meet(folder) {
      mkdirSync(join(folder, 'empty'));
      return list(folder, join(folder, 'empty'));
    },
    follow: (folder) => list(folder, frames(folder)),
  },
  {
    says: 'all.csv: exists already',
    async meet(folder) {
      await list(folder, frames(folder));
      return list(folder, frames(folder));
    },
    follow: (folder) => list(folder, frames(folder), '--overwrite'),
  },
  {
    says: 'rate of these frames is not known',
    meet: (folder) => list(folder, frames(folder)),
    follow: (folder) => list(folder, frames(folder), '--fps', '10', '--overwrite'),
  },
  {
    says: 'Settings for these frames',
    meet: (folder) => list(folder, frames(folder)),
    follow: (_, text) => settings(...settingsIn(text, 'these frames')),
  },
];

export const OWN_DATA: readonly Advice[] = [...IMPORTS, ...LISTS];
