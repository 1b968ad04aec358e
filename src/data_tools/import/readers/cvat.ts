/** @file Annotations of CVAT: "CVAT for video 1.1" (tracks) and "CVAT for images 1.1". */
import { DataError } from '../../../errors.js';
import { frameNames, videoNameOf } from '../image_names.js';
import {
  type Imported,
  type ImportedVideo,
  nothingImported,
  type Track,
  type TrackKey,
  videoOfImages,
} from '../model.js';
import { cvatBox, isShape } from './cvat_shapes.js';
import { CvatTasks } from './cvat_tasks.js';
import { readXmlChildren, type XmlElement } from './xml.js';

export function isCvat(text: string): boolean {
  return /<annotations[\s>]/.test(text.slice(0, 4096));
}

/** Reads an export. Throws DataError if it is broken, or XML of another program. */
export function readCvat(path: string, text: string): Imported {
  const imported = nothingImported();
  const tasks = new CvatTasks(path, imported);
  const images: XmlElement[] = [];
  let tracks = 0;
  readXmlChildren(path, text, (element) => {
    if (element.name === 'meta') tasks.read(element);
    else if (element.name === 'image') images.push(element);
    else if (element.name === 'track') {
      tracks++;
      addTrack(imported, tasks, element);
    }
  });
  if (tracks === 0 && images.length === 0 && !tasks.isKnown) {
    throw new DataError(
      `${path}: it is an XML file, but has none of CVAT's elements <meta>, <track> and <image>; export "CVAT for video 1.1"`,
    );
  }
  addImages(imported, tasks, images);
  imported.videos.push(...tasks.videos());
  return imported;
}

function addTrack(imported: Imported, tasks: CvatTasks, element: XmlElement): void {
  const { id, task_id } = element.attributes;
  const label = element.attributes.label?.trim();
  const where = tasks.at(element);
  const shapes = element.children.filter(({ name }) => isShape(name));
  if (label) imported.labels.add(label);
  const keys: TrackKey[] = [];
  let attributes = new Map<string, string[]>();
  for (const shape of shapes) {
    const box = cvatBox(imported.losses, shape, tasks.at(shape));
    if (box === null) continue;
    attributes = new Map([...attributes, ...tasks.attributesOf(shape)]);
    const visible = shape.attributes.outside !== '1';
    noteOccluded(imported, shape, visible, tasks.at(shape));
    keys.push({
      at: numberIn(shape, 'frame', tasks),
      box,
      visible,
      drawn: visible && shape.attributes.keyframe !== '0',
      continues: visible,
      attributes,
    });
  }
  keys.sort((a, b) => a.at - b.at);
  // A track with interpolated boxes has one in each frame in which it is visible.
  const staysToEnd = shapes.every((shape) => shape.attributes.keyframe !== '0');
  const video = tasks.videoOf(task_id);
  imported.tracks.push({
    video,
    person: id ?? null,
    labels: label ? [label] : [],
    keys,
    staysToEnd,
    where,
  } satisfies Track);
}

function noteOccluded({ losses }: Imported, { attributes }: XmlElement, visible: boolean, at: string): void {
  if (visible && attributes.occluded === '1') losses.add('kept', at, 'occluded box', 'occluded boxes');
}

function numberIn(element: XmlElement, name: string, tasks: CvatTasks): number {
  const text = element.attributes[name];
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new DataError(
    `${tasks.at(element)}: <${element.name}> needs a number in ${name}, found ${JSON.stringify(text ?? '')}`,
  );
}

function addImages(imported: Imported, tasks: CvatTasks, images: readonly XmlElement[]): void {
  const names = frameNames(images.map(({ attributes }) => attributes.name ?? ''));
  const folders = new Map<string, ImportedVideo>();
  for (const image of images) {
    const { name = '', task_id, width, height } = image.attributes;
    const { video: inName, frame } = names.get(name)!;
    const video =
      inName === null || tasks.isVideoTask(task_id)
        ? tasks.videoOf(task_id, name)
        : folderVideo(folders, inName, name);
    if (video.size === null && Number(width) > 0 && Number(height) > 0)
      video.size = { width: Number(width), height: Number(height) };
    const at = frame ?? (tasks.isVideoTask(task_id) ? numberIn(image, 'id', tasks) : null);
    for (const shape of image.children) addShape(imported, tasks, { shape, video, at });
  }
  imported.videos.push(...folders.values());
}

function folderVideo(folders: Map<string, ImportedVideo>, inName: string, image: string): ImportedVideo {
  const name = videoNameOf(inName);
  const known = folders.get(name);
  if (known) return known;
  const video = videoOfImages(name, image);
  folders.set(name, video);
  return video;
}

function addShape(
  imported: Imported,
  tasks: CvatTasks,
  { shape, video, at }: { shape: XmlElement; video: ImportedVideo; at: number | null },
): void {
  const where = tasks.at(shape);
  if (!isShape(shape.name)) {
    imported.losses.add('left', where, shape.name);
    return;
  }
  const label = shape.attributes.label?.trim();
  if (label) imported.labels.add(label);
  if (at === null) {
    imported.losses.add(
      'left',
      where,
      'box in an image whose name has no number',
      'boxes in images whose names have no number',
    );
    return;
  }
  const box = cvatBox(imported.losses, shape, where);
  if (box === null) return;
  noteOccluded(imported, shape, true, where);
  const attributes = tasks.attributesOf(shape);
  const key = { at, box, visible: true, drawn: true, continues: false, attributes };
  imported.tracks.push({
    video,
    person: null,
    labels: label ? [label] : [],
    keys: [key],
    staysToEnd: false,
    where,
  });
}
