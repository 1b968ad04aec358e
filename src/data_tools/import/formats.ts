/** @file The formats that `stmixer data import` reads, and how a file shows which one it has. */
import { parseAvaRow } from '../../data/datasets/ava_row.js';
import { splitCsv } from '../../data/datasets/csv.js';
import { DataError } from '../../errors.js';
import type { FormatName } from './format_names.js';
import type { Imported } from './model.js';
import { objectOr, parseJson, readAnnotationText } from './read_file.js';
import { isCoco, readCoco } from './readers/coco.js';
import { isCvat, readCvat } from './readers/cvat.js';
import { isLabelStudio, readLabelStudio } from './readers/label_studio.js';
import { isVia2Csv, isVia2Json, readVia2Csv, readVia2Json } from './readers/via2.js';
import { isVia3Csv, isVia3Project, readVia3Csv, readVia3Project } from './readers/via3.js';

interface Content {
  readonly path: string;
  readonly text: string;
  /** The value of a JSON file; undefined for other files. */
  readonly json: unknown;
}

interface Format {
  readonly name: FormatName;
  /** For messages. */
  readonly title: string;
  fits(content: Content): boolean;
  read(content: Content): Imported;
}

/** A format fits if its own fields are there, so the order does not matter much; COCO's fields are the least special. */
const FORMATS: readonly Format[] = [
  {
    name: 'via',
    title: 'VIA 3 project',
    fits: ({ json }) => isVia3Project(objectOr(json)),
    read: ({ path, json }) => readVia3Project(path, objectOr(json)),
  },
  {
    name: 'via',
    title: 'VIA 2 json',
    fits: ({ json }) => isVia2Json(objectOr(json)),
    read: ({ path, json }) => readVia2Json(path, objectOr(json)),
  },
  {
    name: 'via',
    title: 'VIA 3 csv',
    fits: ({ json, text }) => json === undefined && isVia3Csv(text),
    read: ({ path, text }) => readVia3Csv(path, text),
  },
  {
    name: 'via',
    title: 'VIA 2 csv',
    fits: ({ json, text }) => json === undefined && isVia2Csv(text),
    read: ({ path, text }) => readVia2Csv(path, text),
  },
  {
    name: 'cvat',
    title: 'CVAT XML',
    fits: ({ json, text }) => json === undefined && isCvat(text),
    read: ({ path, text }) => readCvat(path, text),
  },
  {
    name: 'label-studio',
    title: 'Label Studio json',
    fits: ({ json }) => isLabelStudio(json),
    read: ({ path, json }) => readLabelStudio(path, json),
  },
  {
    name: 'coco',
    title: 'COCO json',
    fits: ({ json }) => isCoco(objectOr(json)),
    read: ({ path, json }) => readCoco(path, objectOr(json)),
  },
];

/** Reads an annotation file; its content tells the format unless `format` does. Throws DataError if it is none of them. */
export function readAnnotationFile(path: string, format?: FormatName): { imported: Imported; title: string } {
  const text = readAnnotationText(path);
  const json = /^\s*[[{]/.test(text) ? parseJson(path, text) : undefined;
  const content = { path, text, json };
  const found = FORMATS.find((candidate) => candidate.fits(content));
  if (found && (format === undefined || found.name === format))
    return { imported: found.read(content), title: found.title };
  const wanted = format === undefined ? '' : ` (--format ${format})`;
  if (found)
    throw new DataError(`${path}: it is a ${found.title}, which is --format ${found.name}, not ${format}`);
  const other = OTHERS.find(([pattern]) => pattern.test(text.slice(0, HEAD)))?.[1];
  if (other !== undefined)
    throw new DataError(`${path}: it seems to be ${other}; this command reads ${EXPECTED}`);
  throw new DataError(
    `${path}: ${isAva(text) ? "it is AVA's csv already, which needs no import" : `it is none of the files that can be imported${wanted}: ${EXPECTED}`}`,
  );
}

/** Number of characters by which another file is recognised. */
const HEAD = 20_000;

/** Files of annotation programs that are not read, or in another form than the one that is. */
const OTHERS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [
    /^[^\n]*\bid\b[^\n]*\n[^\n]*\{""framesCount""|""sequence""/,
    'a table (CSV or TSV) of Label Studio: export the project as JSON',
  ],
  [
    /^\s*(?:<\?xml[^>]*>\s*)?<annotation>/,
    'an annotation of Pascal VOC, which has one file for each image: export the project for COCO or CVAT',
  ],
  [
    /"shapes"\s*:[\s\S]*"imagePath"\s*:|"imagePath"\s*:[\s\S]*"shapes"\s*:/,
    'an annotation of LabelMe, which has one file for each image: convert them to COCO, e.g. with labelme2coco',
  ],
  [
    /^\s*(?:\d+(?: -?[\d.]+){4,}\s*\n)*\d+(?: -?[\d.]+){4,}\s*$/,
    'the labels of YOLO, which has one file for each image: export the project for COCO or CVAT',
  ],
];

const EXPECTED =
  "VIA's project (json) or csv export, CVAT's XML, COCO's json with images, annotations and frame numbers, or Label Studio's json";

function isAva(text: string): boolean {
  return !('kind' in parseAvaRow(splitCsv(text.trimStart().split(/\r?\n/, 1)[0])));
}
