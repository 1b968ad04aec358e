/** @file COCO's json with videos: images with a number of the frame, and the layout of YouTube-VIS with a list of boxes per track. */
import { frameNames, pathParts, stemOf, videoNameOf } from '../image_names.js';
import {
  type Corners,
  type Imported,
  type ImportedVideo,
  nothingImported,
  type Track,
  videoOfImages,
} from '../model.js';
import { arrayOr, numberOrNone, objectOr, textOrNull } from '../read_file.js';
import { boxAround, cornersOf, pointsOf, turnedBox } from '../shapes.js';
import { CocoAttributes } from './coco_attributes.js';

type Fields = Record<string, unknown>;

export function isCoco(value: Fields): boolean {
  return Array.isArray(value.annotations) && (Array.isArray(value.images) || Array.isArray(value.videos));
}

export function readCoco(path: string, value: Fields): Imported {
  return new CocoReader(path, value).read();
}

/** An image or, in YouTube-VIS, a frame of a video. */
interface CocoFrame {
  readonly video: ImportedVideo;
  readonly number: number | null;
}

/** Names of the number of a frame, in the order in which they are looked for. */
const FRAME_KEYS = ['frame_id', 'frame_index', 'frame_idx', 'frame_number', 'frame_num', 'frame_no', 'frame'];
const VIDEO_KEYS = ['video_name', 'video', 'sequence', 'seq_name', 'video_file'];

class CocoReader {
  readonly #imported: Imported = nothingImported();
  readonly #categories = new Map<string, string>();
  readonly #videos = new Map<string, ImportedVideo>();
  readonly #videoById = new Map<string, Fields>();
  readonly #frames = new Map<string, CocoFrame>();
  /** Video and track → track. */
  readonly #tracks = new Map<string, Track>();
  /** Tracks and the numbers of frames in which they have a box. */
  readonly #taken = new Set<string>();
  readonly #attributes = new CocoAttributes(this.#imported);

  constructor(
    private readonly path: string,
    private readonly file: Fields,
  ) {}

  read(): Imported {
    for (const raw of arrayOr(this.file.categories)) {
      const { id, name } = objectOr(raw);
      const label = textOrNull(name)?.trim() ?? `class ${id}`;
      this.#categories.set(String(id), label);
      this.#imported.labels.add(label);
    }
    for (const raw of arrayOr(this.file.videos)) this.#videoById.set(String(objectOr(raw).id), objectOr(raw));
    this.#readImages(arrayOr(this.file.images).map(objectOr));
    arrayOr(this.file.annotations).forEach((raw, i) => {
      const annotation = objectOr(raw);
      this.#add(annotation, `${this.path}: annotation ${textOrNull(annotation.id) ?? i}`);
    });
    // Annotations may come in any order.
    for (const { keys } of this.#tracks.values()) keys.sort((a, b) => a.at - b.at);
    this.#imported.videos.push(...this.#videos.values());
    this.#imported.tracks.push(...this.#tracks.values());
    return this.#imported;
  }

  #readImages(images: readonly Fields[]): void {
    const nameOf = (image: Fields) =>
      textOrNull(image.file_name) ?? textOrNull(image.path) ?? String(image.id);
    const names = frameNames(images.map(nameOf));
    for (const image of images) {
      const name = nameOf(image);
      const inName = names.get(name)!;
      const index = firstNumber(image, FRAME_KEYS);
      const known = this.#videoById.get(String(image.video_id));
      const title = known ? titleOf(known) : (firstText(image, VIDEO_KEYS) ?? textOrNull(image.video_id));
      const video = this.#video(title, { name: inName.video, image: name, isIndexed: index !== null, known });
      const [width, height] = [numberOrNone(image.width), numberOrNone(image.height)];
      if (video.size === null && width !== null && height !== null && width > 0 && height > 0)
        video.size = { width, height };
      this.#frames.set(String(image.id), { video, number: index ?? inName.frame });
    }
  }

  /** The video with a title; without one, the video that the name of the image tells. */
  #video(
    title: string | null,
    {
      name,
      image,
      isIndexed,
      known,
    }: { name: string | null; image: string; isIndexed: boolean; known?: Fields },
  ): ImportedVideo {
    const key = videoNameOf(title === null ? (name ?? stemOf(this.path)) : nameOfTitle(title));
    const before = this.#videos.get(key);
    if (before) return before;
    const isVideo = title !== null && isVideoFile(title);
    const [width, height] = [numberOrNone(known?.width), numberOrNone(known?.height)];
    const video: ImportedVideo = {
      ...videoOfImages(key, image),
      isNamed: title !== null || name !== null,
      source: title ?? image,
      isVideo,
      size: width && height ? { width, height } : null,
      fps: numberOrNone(known?.fps) ?? numberOrNone(known?.frame_rate),
      // Indices of frames usually begin at 0, and numbers in file names at 1.
      firstFrame: isIndexed ? 0 : 1,
      image: isVideo ? null : image,
    };
    this.#videos.set(key, video);
    return video;
  }

  #add(annotation: Fields, where: string): void {
    const { losses } = this.#imported;
    if (numberOrNone(annotation.iscrowd) === 1 || annotation.iscrowd === true) {
      losses.add('left', where, 'crowd region');
      return;
    }
    if (Array.isArray(annotation.bboxes)) {
      this.#addBoxes(annotation, annotation.bboxes, where);
      return;
    }
    const frame = this.#frames.get(String(annotation.image_id));
    if (!frame || frame.number === null) {
      if (frame)
        losses.add('left', where, 'box in an image without a number', 'boxes in images without a number');
      else
        losses.add(
          'left',
          where,
          'box whose image is not in the file',
          'boxes whose images are not in the file',
        );
      return;
    }
    const box = this.#boxOf(annotation, where);
    if (box) this.#addKey(annotation, { ...frame, number: frame.number }, { box, where });
  }

  /** A track of YouTube-VIS, with one box or null for each frame. */
  #addBoxes(annotation: Fields, boxes: readonly unknown[], where: string): void {
    const known = this.#videoById.get(String(annotation.video_id)) ?? {};
    const image = textOrNull(arrayOr(known.file_names)[0]) ?? 'frame_0';
    const title = Object.keys(known).length > 0 ? titleOf(known) : textOrNull(annotation.video_id);
    const named = frameNames([image]).get(image)!;
    const video = this.#video(title, { name: named.video, image, isIndexed: true, known });
    boxes.forEach((raw, number) => {
      if (raw === null) return;
      const box = this.#boxOf({ bbox: raw }, `${where}, frame ${number}`);
      if (box) this.#addKey({ track_id: annotation.id, ...annotation }, { video, number }, { box, where });
    });
  }

  #addKey(
    annotation: Fields,
    { video, number }: { video: ImportedVideo; number: number },
    { box, where }: { box: Corners; where: string },
  ): void {
    const label =
      this.#categories.get(String(annotation.category_id)) ?? textOrNull(annotation.category_name);
    if (label !== null) this.#imported.labels.add(label);
    const { attributes, turn } = this.#attributes.read(annotation, where);
    const person =
      firstText(annotation, PERSON_KEYS) ?? firstText(objectOr(annotation.attributes), PERSON_KEYS);
    let id = `${video.name} ${person === null ? where : `${person} ${label}`}`;
    // A second box of a person in one frame, such as one for another action, is a track of its own.
    if (this.#taken.has(`${id} ${number}`)) id += ` ${where}`;
    this.#taken.add(`${id} ${number}`);
    const track = this.#tracks.get(id) ?? {
      video,
      person,
      labels: label === null ? [] : [label],
      keys: [],
      staysToEnd: false,
      where,
    };
    this.#tracks.set(id, track);
    const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] as const;
    const turned = turn === 0 ? box : turnedBox(box, turn, middle);
    track.keys.push({ at: number, box: turned, visible: true, drawn: true, continues: false, attributes });
  }

  #boxOf({ bbox, segmentation, keypoints }: Fields, where: string): Corners | null {
    const { losses } = this.#imported;
    const numbers = arrayOr(bbox).map((value) => numberOrNone(value) ?? Number.NaN);
    if (numbers.length === 4 && !numbers.some(Number.isNaN)) {
      const [x, y, width, height] = numbers;
      return cornersOf(x, y, width, height);
    }
    const outline = arrayOr(segmentation).flatMap((part) =>
      arrayOr(part).map((value) => numberOrNone(value) ?? Number.NaN),
    );
    const box = outline.some(Number.isNaN) ? null : boxAround(pointsOf(outline));
    if (box) losses.add('boxed', where, 'polygon');
    else if (Array.isArray(segmentation) || segmentation === undefined)
      losses.add(
        'left',
        where,
        Array.isArray(keypoints) ? 'set of keypoints without a box' : 'annotation without a box',
        Array.isArray(keypoints) ? 'sets of keypoints without boxes' : 'annotations without boxes',
      );
    else losses.add('left', where, 'mask without a box', 'masks without boxes');
    return box;
  }
}

/** Names of the number of a person. */
const PERSON_KEYS = ['track_id', 'instance_id', 'person_id', 'object_id', 'tracking_id'];

function firstText(fields: Fields, keys: readonly string[]): string | null {
  for (const key of keys) {
    const text = textOrNull(fields[key]);
    if (text !== null) return text;
  }
  return null;
}

function firstNumber(fields: Fields, keys: readonly string[]): number | null {
  for (const key of keys) {
    const number = numberOrNone(fields[key]);
    if (number !== null) return number;
  }
  return null;
}

function titleOf(video: Fields): string {
  return firstText(video, ['file_name', 'name', 'video_name', 'id']) ?? 'video';
}

function isVideoFile(name: string): boolean {
  return /\.(mp4|avi|mov|mkv|webm|m4v|mpe?g|wmv|flv|ts|3gp)$/i.test(name);
}

/** The name of a video: that of its file or of its folder, with no folders above it. */
function nameOfTitle(title: string): string {
  return isVideoFile(title) ? stemOf(title) : (pathParts(title).at(-1) ?? title);
}
