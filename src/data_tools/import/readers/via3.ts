/** @file Annotations of VIA 3, the video annotator of the VGG: its project (json) and its csv export. */
import { splitCsv } from '../../../data/datasets/csv.js';
import { DataError } from '../../../errors.js';
import { frameNames, stemOf, videoNameOf } from '../image_names.js';
import {
  type AttributeKind,
  defineAttribute,
  type Imported,
  type ImportedVideo,
  nothingImported,
  videoOfImages,
} from '../model.js';
import { arrayOr, numberOrNone, objectOr, textOrNull } from '../read_file.js';
import { type ViaShape, viaBox } from './via_shapes.js';

/** One entry of the file: a region, a stretch of time, or both. */
interface Entry {
  readonly file: string;
  readonly isVideo: boolean;
  readonly times: readonly number[];
  readonly shape: readonly number[];
  /** Id of an attribute → value. */
  readonly values: Record<string, unknown>;
  readonly where: string;
}

interface Attribute {
  readonly name: string;
  readonly kind: AttributeKind;
  /** Id of an option → its name; empty for texts. */
  readonly options: ReadonlyMap<string, string>;
}

type AttributeTable = Map<string, Attribute>;

const SHAPES: readonly (ViaShape | null)[] = [
  null,
  'point',
  'rect',
  'circle',
  'ellipse',
  'line',
  'polyline',
  'polygon',
  'rect',
  'circle',
];
const KINDS: readonly AttributeKind[] = ['text', 'text', 'choice', 'choice', 'choice', 'choice'];

export function isVia3Project(value: Record<string, unknown>): boolean {
  return 'metadata' in value && 'attribute' in value && 'view' in value && 'file' in value;
}

export function isVia3Csv(text: string): boolean {
  return /^[\s"]*#.*VGG Image Annotator|^[\s"]*#\s*CSV_HEADER\s*=\s*metadata_id/m.test(text.slice(0, 20_000));
}

/** Reads a project. `path` is its file, for messages. */
export function readVia3Project(path: string, project: Record<string, unknown>): Imported {
  const files = objectOr(project.file);
  const views = objectOr(project.view);
  const imported = nothingImported();
  const entries: Entry[] = [];
  for (const [id, raw] of Object.entries(objectOr(project.metadata))) {
    const entry = objectOr(raw);
    const where = `${path}: metadata ${id}`;
    const inView = arrayOr(objectOr(views[String(entry.vid)]).fid_list);
    if (inView.length > 1) imported.losses.add('left', where, 'second file beside the first');
    const file = objectOr(files[String(inView[0])]);
    const name = textOrNull(file.fname) ?? textOrNull(file.src);
    if (name === null) {
      imported.losses.add(
        'left',
        where,
        'region whose file is not in the project',
        'regions whose file is not in the project',
      );
      continue;
    }
    const isVideo = numberOrNone(file.type) === null ? isVideoName(name) : file.type !== IMAGE_TYPE;
    entries.push({ file: name, isVideo, ...placeOf(entry.z, entry.xy), values: objectOr(entry.av), where });
  }
  return toImported(imported, entries, attributeTable(project.attribute));
}

/** The type of a file that is an image; others are videos and sounds. */
const IMAGE_TYPE = 2;

function isVideoName(name: string): boolean {
  return !/\.(jpe?g|png|webp|tiff?|gif|avif|bmp)$/i.test(name);
}

function placeOf(z: unknown, xy: unknown): Pick<Entry, 'times' | 'shape'> {
  const numbers = (value: unknown) => arrayOr(value).map((item) => numberOrNone(item) ?? Number.NaN);
  return { times: numbers(z), shape: numbers(xy) };
}

/** Reads a csv export. Throws DataError if it is an older one without boxes. */
export function readVia3Csv(path: string, text: string): Imported {
  const lines = text.split(/\r?\n/);
  const header = headerOf(lines);
  for (const column of ['file_list', 'temporal_coordinates', 'spatial_coordinates', 'metadata'])
    if (!header.includes(column)) {
      throw new DataError(
        `${path}: this export of VIA has no column ${column}, so it holds no boxes; give VIA's project (json) to this command`,
      );
    }
  const imported = nothingImported();
  const entries: Entry[] = [];
  lines.forEach((line, i) => {
    if (line.trim() === '' || /^[\s"]*#/.test(line)) return;
    const where = `${path}:${i + 1}`;
    const fields = splitCsv(line);
    const field = (name: string) => parsed(fields[header.indexOf(name)] ?? '', where, name);
    const name = textOrNull(arrayOr(field('file_list'))[0]);
    if (name === null)
      throw new DataError(`${where}: the column file_list names no file; export the csv again`);
    entries.push({
      file: name,
      isVideo: isVideoName(name),
      ...placeOf(field('temporal_coordinates'), field('spatial_coordinates')),
      values: objectOr(field('metadata')),
      where,
    });
  });
  return toImported(imported, entries, tableInComments(lines, path));
}

function parsed(text: string, where: string, column: string): unknown {
  try {
    return text.trim() === '' ? [] : JSON.parse(text);
  } catch (error) {
    throw new DataError(
      `${where}: the column ${column} cannot be read: ${JSON.stringify(text.slice(0, 60))}; export the csv again, and do not save it with a spreadsheet program`,
      { cause: error },
    );
  }
}

function headerOf(lines: readonly string[]): string[] {
  const line = lines.find((text) => /CSV_HEADER\s*=/.test(text)) ?? '';
  return line
    .replace(/^.*CSV_HEADER\s*=/, '')
    .split(',')
    .map((name) => name.trim().replace(/^"|"$/g, ''))
    .filter((name) => name !== '');
}

/** The attributes in a comment: `# ATTRIBUTE = {…}`, or in older exports `# ATTRIBUTES = {"1":"name"}`. */
function tableInComments(lines: readonly string[], path: string): AttributeTable {
  const index = lines.findIndex((line) => /^[\s"]*#\s*ATTRIBUTES?\s*=/.test(line));
  if (index < 0) return new Map();
  const where = `${path}:${index + 1}`;
  return attributeTable(parsed(lines[index].replace(/^.*?ATTRIBUTES?\s*=\s*/, ''), where, 'ATTRIBUTE'));
}

function attributeTable(value: unknown): AttributeTable {
  const table: AttributeTable = new Map();
  for (const [id, raw] of Object.entries(objectOr(value))) {
    const attribute = objectOr(raw);
    const name = textOrNull(raw) ?? textOrNull(attribute.aname) ?? id;
    const kind = KINDS[numberOrNone(attribute.type) ?? 1] ?? 'text';
    const options =
      kind === 'text'
        ? []
        : Object.entries(objectOr(attribute.options)).map(
            ([key, label]) => [key, textOrNull(label) ?? key] as const,
          );
    table.set(id, { name, kind, options: new Map(options) });
  }
  return table;
}

function toImported(imported: Imported, entries: readonly Entry[], table: AttributeTable): Imported {
  for (const { name, kind, options } of table.values())
    defineAttribute(imported, name, kind, options.values());
  const names = frameNames(entries.filter(({ isVideo }) => !isVideo).map(({ file }) => file));
  const videos = new Map<string, ImportedVideo>();
  for (const entry of entries) {
    const inName = entry.isVideo ? null : names.get(entry.file)!;
    const name = videoNameOf(inName ? (inName.video ?? 'video') : stemOf(entry.file));
    const isNamed = inName === null || inName.video !== null;
    const video = videos.get(name) ?? { ...makeVideo(name, entry), isNamed };
    if (inName && inName.frame === null) {
      imported.losses.add(
        'left',
        `${entry.where} (${entry.file})`,
        'region in an image whose name has no number',
        'regions in images whose names have no number',
      );
      continue;
    }
    videos.set(name, video);
    addEntry(imported, video, { ...entry, times: inName ? [inName.frame!] : entry.times }, table);
  }
  imported.videos.push(...videos.values());
  return imported;
}

function makeVideo(name: string, { file, isVideo }: Entry): ImportedVideo {
  const video = videoOfImages(name, file);
  return isVideo
    ? { ...video, isVideo, clock: 'seconds', firstFrame: 0, isFirstSure: true, image: null }
    : video;
}

function addEntry(imported: Imported, video: ImportedVideo, entry: Entry, table: AttributeTable): void {
  const { times, shape, where } = entry;
  const attributes = valuesOf(imported, entry, table);
  if (shape.length === 0) {
    const [from, to] = times;
    if (times.length === 2) imported.segments.push({ video, from, to, attributes, track: null, where });
    else if (attributes.size > 0)
      imported.losses.add('left', where, 'attribute of a whole file', 'attributes of whole files');
    return;
  }
  const kind = SHAPES[shape[0]] ?? null;
  const box = kind === null ? null : viaBox(imported.losses, kind, shape.slice(1), where);
  if (kind === null) imported.losses.add('left', where, 'shape of unknown kind', 'shapes of unknown kind');
  if (box === null) return;
  if (times.length === 0 || times.some(Number.isNaN)) {
    imported.losses.add('left', where, 'region without a time', 'regions without a time');
    return;
  }
  const key = { box, visible: true, drawn: true, attributes };
  const lasts = times.length > 1;
  imported.tracks.push({
    video,
    person: null,
    labels: [],
    keys: times.slice(0, 2).map((at, i) => ({ ...key, at, continues: lasts && i === 0 })),
    staysToEnd: false,
    where,
  });
}

function valuesOf(
  imported: Imported,
  { values, where }: Entry,
  table: AttributeTable,
): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const [id, raw] of Object.entries(values)) {
    const { name, kind, options } = table.get(id) ?? {
      name: id,
      kind: 'text',
      options: new Map<string, string>(),
    };
    if (!table.has(id)) defineAttribute(imported, name, 'text');
    const text = textOrNull(raw);
    if (text === null || text === '_DEFAULT') continue;
    const chosen =
      kind === 'choice' && options.size > 0 ? text.split(',').map((option) => option.trim()) : [text];
    const known = chosen.filter((option) => options.size === 0 || options.has(option));
    if (known.length < chosen.length)
      imported.losses.add(
        'left',
        where,
        'value that is not an option of its attribute',
        "values that are none of their attribute's options",
      );
    result.set(
      name,
      known.map((option) => options.get(option) ?? option),
    );
  }
  return result;
}
