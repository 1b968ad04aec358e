/** @file Annotations of VIA 2, the image annotator of the VGG: its csv export, json export and project. */
import { splitCsv } from '../../../data/datasets/csv.js';
import { DataError } from '../../../errors.js';
import { frameNames, videoNameOf } from '../image_names.js';
import {
  defineAttribute,
  type Imported,
  type ImportedVideo,
  nothingImported,
  videoOfImages,
} from '../model.js';
import { arrayOr, numberOrNone, objectOr, textOrNull } from '../read_file.js';
import { type ViaShape, viaBox } from './via_shapes.js';

interface Region {
  readonly file: string;
  readonly shape: Record<string, unknown>;
  readonly attributes: Record<string, unknown>;
  readonly where: string;
}

const COLUMNS = ['filename', 'region_shape_attributes', 'region_attributes'];

export function isVia2Csv(text: string): boolean {
  const header = splitCsv(text.split(/\r?\n/, 1)[0].replace(/^#/, ''));
  return COLUMNS.every((column) => header.includes(column));
}

/** Whether a value is VIA 2's project, or its json export: image → { filename, size, regions }. */
export function isVia2Json(value: Record<string, unknown>): boolean {
  const images = imagesOf(value);
  const [first] = Object.values(images);
  return Object.keys(images).length > 0 && 'filename' in objectOr(first) && 'regions' in objectOr(first);
}

function imagesOf(value: Record<string, unknown>): Record<string, unknown> {
  return '_via_img_metadata' in value ? objectOr(value._via_img_metadata) : value;
}

export function readVia2Json(path: string, value: Record<string, unknown>): Imported {
  const imported = nothingImported();
  const regions: Region[] = [];
  for (const [id, raw] of Object.entries(imagesOf(value))) {
    const image = objectOr(raw);
    const file = textOrNull(image.filename) ?? id;
    // Old exports have an object of regions instead of a list.
    const list = Array.isArray(image.regions) ? image.regions : Object.values(objectOr(image.regions));
    list.forEach((region, i) => {
      const { shape_attributes, region_attributes } = objectOr(region);
      const where = `${path}: ${file}, region ${i + 1}`;
      regions.push({
        file,
        shape: objectOr(shape_attributes),
        attributes: objectOr(region_attributes),
        where,
      });
    });
  }
  const defined = objectOr(objectOr(value._via_attributes).region);
  for (const [name, raw] of Object.entries(defined)) {
    const { type, options } = objectOr(raw);
    defineAttribute(imported, name, type === 'text' ? 'text' : 'choice', Object.keys(objectOr(options)));
  }
  return toImported(imported, regions);
}

export function readVia2Csv(path: string, text: string): Imported {
  const [first, ...lines] = text.split(/\r?\n/);
  const header = splitCsv(first.replace(/^#/, ''));
  const regions = lines.flatMap((line, i): Region[] => {
    if (line.trim() === '') return [];
    const where = `${path}:${i + 2}`;
    const fields = splitCsv(line);
    const field = (name: string) => fields[header.indexOf(name)] ?? '';
    const shape = objectIn(field('region_shape_attributes'), where);
    // A row of an image without regions.
    if (Object.keys(shape).length === 0) return [];
    const attributes = objectIn(field('region_attributes'), where);
    return [{ file: field('filename'), shape, attributes, where }];
  });
  return toImported(nothingImported(), regions);
}

function objectIn(text: string, where: string): Record<string, unknown> {
  try {
    return text.trim() === '' ? {} : objectOr(JSON.parse(text));
  } catch (error) {
    throw new DataError(
      `${where}: expected JSON in the columns of the region, found ${JSON.stringify(text.slice(0, 60))}; export the csv again`,
      { cause: error },
    );
  }
}

function toImported(imported: Imported, regions: readonly Region[]): Imported {
  const names = frameNames(regions.map(({ file }) => file));
  const videos = new Map<string, ImportedVideo>();
  for (const { file, shape, attributes, where } of regions) {
    const { video: inName, frame } = names.get(file)!;
    if (frame === null) {
      imported.losses.add(
        'left',
        `${where} (${file})`,
        'region in an image whose name has no number',
        'regions in images whose names have no number',
      );
      continue;
    }
    const box = boxOf(imported, shape, where);
    if (box === null) continue;
    const name = videoNameOf(inName ?? 'video');
    const video = videos.get(name) ?? { ...videoOfImages(name, file), isNamed: inName !== null };
    videos.set(name, video);
    const key = { at: frame, box, visible: true, drawn: true, continues: false };
    const values = valuesOf(imported, attributes);
    imported.tracks.push({
      video,
      person: null,
      labels: [],
      keys: [{ ...key, attributes: values }],
      staysToEnd: false,
      where,
    });
  }
  imported.videos.push(...videos.values());
  return imported;
}

function boxOf(imported: Imported, shape: Record<string, unknown>, where: string) {
  const kind = textOrNull(shape.name);
  const numbers = (...names: string[]) => names.map((name) => numberOrNone(shape[name]) ?? Number.NaN);
  const points = () => {
    const [xs, ys] = [arrayOr(shape.all_points_x), arrayOr(shape.all_points_y)];
    return xs.flatMap((x, i) => [numberOrNone(x) ?? Number.NaN, numberOrNone(ys[i]) ?? Number.NaN]);
  };
  const READERS: Record<string, () => number[]> = {
    rect: () => numbers('x', 'y', 'width', 'height'),
    circle: () => numbers('cx', 'cy', 'r'),
    ellipse: () => numbers('cx', 'cy', 'rx', 'ry'),
    polygon: points,
    polyline: points,
    point: () => numbers('cx', 'cy'),
  };
  if (kind === null || !Object.hasOwn(READERS, kind)) {
    imported.losses.add('left', where, 'shape of unknown kind', 'shapes of unknown kind');
    return null;
  }
  return viaBox(imported.losses, kind as ViaShape, READERS[kind](), where);
}

/** A checkbox is `{"walk": true}`, everything else a text. */
function valuesOf(imported: Imported, attributes: Record<string, unknown>): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const [name, raw] of Object.entries(attributes)) {
    const text = textOrNull(raw);
    const checked = Object.entries(objectOr(raw)).flatMap(([option, on]) => (on === true ? [option] : []));
    const values = text === null ? checked : [text.trim()];
    const kind = text === null && Object.keys(objectOr(raw)).length > 0 ? 'choice' : 'text';
    defineAttribute(imported, name, kind, kind === 'choice' ? values : []);
    if (values.length > 0) result.set(name, values);
  }
  return result;
}
