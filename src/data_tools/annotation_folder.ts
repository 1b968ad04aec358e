/** @file The folder annotations/ of a data set: names and texts of its files, and templates for annotating by hand. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { namesIn } from '../files/folder_names.js';
import { writeResult } from '../files/write_file.js';
import { readText } from '../util/read_text.js';

export const ANNOTATION_FOLDER = 'annotations';
export const LABEL_MAP = 'label_map.pbtxt';
export const EXCLUDED = 'excluded.csv';
const README = 'README.md';

/** The text of a label map; the ids are 1, 2, 3 … unless `ids` gives others. */
export function labelMapText(labels: readonly { readonly id: number; readonly name: string }[]): string {
  const quoted = (name: string) => `"${name.replace(/[\\"]/g, '\\$&')}"`;
  return labels.map(({ id, name }) => `item {\n  name: ${quoted(name)}\n  id: ${id}\n}\n`).join('');
}

const TEMPLATE_LABELS = labelMapText([
  { id: 1, name: 'walk' },
  { id: 2, name: 'sit' },
]);

/** Rows of the template after the name of the video: two people, the first of whom does two things. */
const TEMPLATE_ROWS = [
  '0.100,0.200,0.400,0.900,1,0',
  '0.100,0.200,0.400,0.900,2,0',
  '0.550,0.250,0.800,0.950,1,1',
];

function templateRows(video: string, second: number): string {
  return TEMPLATE_ROWS.map((row) => `${video},${second},${row}\n`).join('');
}

/** Whether a file is still the template, without annotations of the user. */
export function isTemplate(text: string): boolean {
  if (text === TEMPLATE_LABELS) return true;
  const rows = text.split('\n').slice(0, -1);
  return rows.length > 0 && rows.every((row) => TEMPLATE_ROWS.some((end) => row.endsWith(`,${end}`)));
}

/** The settings that name the annotation files of some lists, such as `all` or `train` and `val`. */
export function annotationSettings(lists: readonly string[]): string[] {
  const [train, val] = ['train', 'val'].map((name) => (lists.includes(name) ? name : (lists[0] ?? name)));
  return [
    `AVA.ANNOTATION_DIR ${ANNOTATION_FOLDER}/`,
    `AVA.TRAIN_GT_BOX_LISTS "['${train}.csv']"`,
    `AVA.TEST_GT_BOX_LISTS "['${val}.csv']"`,
    `AVA.LABEL_MAP_FILE ${LABEL_MAP}`,
    `AVA.EXCLUSION_FILE ${EXCLUDED}`,
  ];
}

/** A frame list, and a video in it for the example rows. */
export interface TemplateList {
  /** Name of the list, without `.csv`. */
  readonly name: string;
  readonly video: string;
  /** A time with a frame. */
  readonly second: number;
}

/**
 * Writes templates of the annotations, the label map and the excluded key frames, with a page that explains them. Writes nothing if
 * the data set has a folder of annotations with files. Returns lines about them for the user.
 */
export function writeTemplates(out: string, lists: readonly TemplateList[]): string[] {
  const hasAnnotations = namesIn(out).some(
    (name) => name.startsWith('annotations') && namesIn(join(out, name)).length > 0,
  );
  if (hasAnnotations || lists.length === 0) return [];
  const folder = join(out, ANNOTATION_FOLDER);
  const names = lists.map(({ name }) => `${name}.csv`);
  mkdirSync(folder, { recursive: true });
  for (const { name, video, second } of lists)
    writeResult(join(folder, `${name}.csv`), templateRows(video, second));
  writeResult(join(folder, LABEL_MAP), TEMPLATE_LABELS);
  writeResult(join(folder, EXCLUDED), '');
  writeResult(join(folder, README), readme(names));
  return [
    `Templates of the annotations are in ${folder}: ${[...names, LABEL_MAP, EXCLUDED].join(', ')}; ${README} there explains each ` +
      'column. Write your own rows in place of the examples, or let `stmixer data import` do it from VIA, CVAT, COCO or Label Studio.',
    `Settings for these annotations: ${annotationSettings(lists.map(({ name }) => name)).join(' ')}`,
  ];
}

/** The annotation files in a folder that are still templates. */
export function templatesIn(folder: string, names: readonly string[]): string[] {
  return names.map((name) => join(folder, name)).filter((path) => isTemplate(readText(path) ?? ''));
}

function readme(lists: readonly string[]): string {
  return `# Annotations

The rows in ${lists.join(' and ')} and the classes in ${LABEL_MAP} are examples: replace them with your own.
\`stmixer data import\` writes all of these files from the annotations of VIA, CVAT, COCO or Label Studio.

## ${lists.join(', ')}

Boxes and actions. There is no header. A row is one action of one person at one time:

    video,second,x1,y1,x2,y2,action,person

| column | holds |
| --- | --- |
| video | the name of the video, as in the frame list: the name of its folder in frames/ |
| second | the time of the key frame in seconds; the first frame has the time AVA.FIRST_SECOND; fractions such as 12.5 are allowed |
| x1, y1 | the upper left corner of the box, as fractions of the width and height of the image, from 0 to 1 |
| x2, y2 | the lower right corner, in the same way |
| action | the id of the action in ${LABEL_MAP}; empty for a person who does none of them |
| person | a whole number for each person in the video |

A person who does two things has two rows with the same box. Annotate every person in a key frame: a person
without a box counts as background.

## ${LABEL_MAP}

The classes. Each has an id, from 1, and a name. Set MODEL.STM.ACTION_CLASSES to the largest id.

## ${EXCLUDED}

Key frames that evaluation leaves out, one \`video,second\` per row. It may stay empty.
`;
}
