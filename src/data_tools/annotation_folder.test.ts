import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importInto } from '../../test/support/imported.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { parseAvaRow } from '../data/datasets/ava_row.js';
import { readLabelMap } from '../data/datasets/label_map.js';
import { labelMapText, writeTemplates } from './annotation_folder.js';

const { at, file } = temporaryFiles();
const LISTS = [
  { name: 'train', video: 'a', second: 3 },
  { name: 'val', video: 'b', second: 1 },
];
const read = (...names: string[]) => readFileSync(at(...names), 'utf8');

describe('the templates of annotations', () => {
  it('are rows of the videos, two classes, an empty list of excluded key frames, and an explanation', () => {
    const lines = writeTemplates(at(), LISTS);
    expect(readdirSync(at('annotations')).sort()).toEqual([
      'README.md',
      'excluded.csv',
      'label_map.pbtxt',
      'train.csv',
      'val.csv',
    ]);
    const rows = read('annotations', 'train.csv')
      .trimEnd()
      .split('\n')
      .map((row) => parseAvaRow(row.split(',')));
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({ video: 'a', second: 3, action: 1, last: '0' });
    expect(readLabelMap(at('annotations', 'label_map.pbtxt')).map(({ id }) => id)).toEqual([1, 2]);
    expect(read('annotations', 'excluded.csv')).toBe('');
    for (const column of ['video', 'second', 'x1, y1', 'x2, y2', 'action', 'person'])
      expect(read('annotations', 'README.md')).toContain(`| ${column} |`);
    expect(lines.join('\n')).toContain(
      `AVA.ANNOTATION_DIR annotations/ AVA.TRAIN_GT_BOX_LISTS "['train.csv']" AVA.TEST_GT_BOX_LISTS "['val.csv']"`,
    );
  });

  it('are not written where annotations exist', () => {
    mkdirSync(at('annotations_v2.2'));
    expect(writeTemplates(at(), LISTS)).not.toEqual([]);
    writeFileSync(at('annotations', 'label_map.pbtxt'), 'mine');
    expect(writeTemplates(at(), LISTS)).toEqual([]);
    expect(read('annotations', 'label_map.pbtxt')).toBe('mine');
  });

  it('give way to an import', async () => {
    writeTemplates(at('out'), LISTS);
    const path = file(
      'coco.json',
      JSON.stringify({
        images: [{ id: 1, file_name: 'c/1.jpg', width: 10, height: 10 }],
        categories: [{ id: 1, name: 'run' }],
        annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [1, 1, 5, 5] }],
      }),
    );
    const { lines } = await importInto(at('out'), [path], { fps: 10 });
    expect(lines('label_map.pbtxt')[1]).toBe('  name: "run"');
    expect(readdirSync(at('out', 'annotations')).sort()).toEqual([
      'README.md',
      'all.csv',
      'excluded.csv',
      'label_map.pbtxt',
    ]);
  });
});

it('names with quotes survive in a label map', () => {
  const labels = [{ id: 1, name: 'say "hi" \\ wave' }];
  expect(readLabelMap(file('map.pbtxt', labelMapText(labels)))).toEqual(labels);
});
