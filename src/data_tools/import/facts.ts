/** @file What an annotation file may leave out: sizes and frame rates of videos, and the number of their first frame. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';
import { imageError } from '../../data/clip/image_problem.js';
import { type PreparationNote, readNote } from '../../data/datasets/preparation_note.js';
import { isImage } from '../../detect/frame_folder.js';
import { ConfigError, DataError } from '../../errors.js';
import { namesIn } from '../../files/folder_names.js';
import { isFile } from '../../files/paths.js';
import { hasVideoName } from '../../media/file_kinds.js';
import type { Size } from '../../media/image_header.js';
import { readVideoStream, type VideoStream } from '../../media/video_stream.js';
import { absenceOf } from '../../util/addresses.js';
import { listFrames } from '../list/frame_folders.js';
import { pathParts, stemOf, videoNameOf } from './image_names.js';
import type { Imported, ImportedVideo } from './model.js';
import type { VideoFacts } from './samples.js';

export interface FactOptions {
  /** The data set's folder. */
  readonly out: string;
  /** A folder of the videos. */
  readonly videos?: string;
  /** Frames per second as the file counts them. */
  readonly fps?: number;
  readonly size?: Size;
  /** Number of the first frame. */
  readonly firstFrame?: number;
  readonly signal?: AbortSignal;
}

/** A video with everything that is known about it. */
export interface KnownVideo {
  readonly video: ImportedVideo;
  readonly facts: VideoFacts;
  /** The note of `data prepare` beside its frames, if it made them. */
  readonly note: PreparationNote | null;
  /** Sentences for the user about what was assumed. */
  readonly notes: readonly string[];
}

/** Finds the facts about videos, with one look at each folder and file. */
export class FactFinder {
  readonly #options: FactOptions;
  /** Name of a video → its file. */
  readonly #files: Map<string, string>;
  readonly #folder: string;

  /** `file` is the annotation file, beside which videos and images are looked for. */
  constructor(
    private readonly file: string,
    options: FactOptions,
  ) {
    this.#options = options;
    this.#folder = dirname(file);
    this.#files = new Map([
      ...videosIn(this.#folder, false),
      ...(options.videos === undefined ? [] : videosIn(options.videos, true)),
    ]);
  }

  /** Throws DataError if something that is needed is not known. */
  async find(imported: Imported, video: ImportedVideo): Promise<KnownVideo> {
    const frameFolder = join(this.#options.out, 'frames', video.name);
    const note = readNote(frameFolder);
    const path = video.isVideo
      ? (this.#files.get(video.name) ?? this.#files.get(videoNameOf(stemOf(video.source))))
      : undefined;
    const needsFile =
      (video.units === 'pixels' && video.size === null) || (video.clock === 'frames' && video.fps === null);
    const isTurned = imported.tracks.some(
      (track) => track.video === video && track.keys.some(({ turn }) => turn),
    );
    const stream =
      path !== undefined && (needsFile || isTurned)
        ? await readVideoStream(path, this.#options.signal)
        : NOTHING;
    const size =
      this.#options.size ?? video.size ?? stream.size ?? (await this.#imageSize(video, frameFolder));
    if (size === null && video.units === 'pixels') throw this.#unknown(video, path, 'size');
    const fps =
      video.clock === 'seconds'
        ? 1
        : (this.#options.fps ?? video.fps ?? stream.fps ?? (video.isVideo ? null : (note?.fps ?? null)));
    if (fps === null) throw this.#unknown(video, path, 'rate');
    const first = await this.#firstFrame(imported, video, frameFolder);
    if (size !== null && video.units === 'pixels') checkSize(imported, video, size, this.file);
    return { video, note, notes: first.notes, facts: { size, fps, firstFrame: first.number } };
  }

  /** The size of an image that the file names, beside it or among the frames of the data set. */
  async #imageSize({ isVideo, image }: ImportedVideo, frameFolder: string): Promise<Size | null> {
    if (isVideo || image === null) return null;
    const parts = pathParts(image);
    const places = [
      ...parts.map((_, i) => join(this.#folder, ...parts.slice(i))),
      join(frameFolder, basename(image)),
      ...namesIn(frameFolder)
        .filter(isImage)
        .map((name) => join(frameFolder, name)),
    ];
    const path = places.find(isFile);
    if (path === undefined) return null;
    const { autoOrient } = await sharp(path)
      .metadata()
      .catch((error) => Promise.reject(imageError(path, 'a frame of the annotations', error)));
    return { width: autoOrient.width, height: autoOrient.height };
  }

  #unknown(
    { name, source, isVideo }: ImportedVideo,
    path: string | undefined,
    what: 'size' | 'rate',
  ): DataError {
    const whose = isVideo ? `video ${name}` : `the frames of ${name}`;
    const look = isVideo
      ? `put ${pathParts(source).at(-1)} beside the annotations, give its folder with --videos, or `
      : '';
    const silent = path === undefined ? '' : `, and ${path} does not state it`;
    return what === 'size'
      ? new DataError(
          `${this.file}: the boxes are in pixels, but the size of ${whose} is not known${silent}: ${look}add ` +
            '--size <width>x<height>',
        )
      : new DataError(
          `${this.file}: the frames have numbers, but the frames per second of ${whose} are not known${silent}: ${look}add ` +
            '--fps <number>',
        );
  }

  async #firstFrame(
    imported: Imported,
    video: ImportedVideo,
    frameFolder: string,
  ): Promise<{ number: number; notes: string[] }> {
    if (video.clock === 'seconds') return { number: 0, notes: [] };
    if (this.#options.firstFrame !== undefined) return { number: this.#options.firstFrame, notes: [] };
    const smallest = imported.tracks
      .filter((track) => track.video === video)
      .reduce((min, { keys }) => keys.reduce((a, { at }) => Math.min(a, at), min), Number.POSITIVE_INFINITY);
    // A program that writes the format may count from 0 although the format counts from 1.
    if (video.isFirstSure) return { number: Math.min(video.firstFrame, smallest), notes: [] };
    const onDisk =
      video.isVideo || !existsSync(frameFolder) ? null : (await listFrames(frameFolder)).firstNumber;
    const number = onDisk !== null && onDisk <= smallest ? onDisk : Math.min(video.firstFrame, smallest);
    if (onDisk === number || smallest === number) return { number, notes: [] };
    return {
      number,
      notes: [
        `frames of ${video.name} are counted from ${number}; add --first-frame if its first frame has another number`,
      ],
    };
  }
}

const NOTHING: VideoStream = { size: null, fps: null };

/** The videos in a folder, by name. */
function videosIn(folder: string, isDeep: boolean): [name: string, path: string][] {
  if (isDeep && !existsSync(folder)) {
    throw new ConfigError(`--videos ${folder}: ${absenceOf(folder, 'folder', 'there is no such folder')}`);
  }
  try {
    return readdirSync(folder, { recursive: isDeep, encoding: 'utf8' })
      .filter(hasVideoName)
      .map((name) => [videoNameOf(stemOf(basename(name))), join(folder, name)]);
  } catch (error) {
    if (isDeep)
      throw new ConfigError(`--videos ${folder}: cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    return [];
  }
}

/** Fraction by which drawn boxes may reach beyond an image. */
const MAX_BEYOND = 0.1;

/** Throws DataError if boxes reach far beyond an image of this size, which is then not the one that was annotated. */
function checkSize(imported: Imported, video: ImportedVideo, { width, height }: Size, file: string): void {
  for (const { video: own, keys, where } of imported.tracks) {
    if (own !== video) continue;
    const far = keys.find(
      ({ box: [, , x2, y2], visible }) =>
        visible && (x2 > width * (1 + MAX_BEYOND) || y2 > height * (1 + MAX_BEYOND)),
    );
    if (!far) continue;
    const [, , x2, y2] = far.box.map(Math.round);
    throw new DataError(
      `${file}: a box of ${video.name} reaches to ${x2}, ${y2} (${where}), but its images have ${width}×${height} pixels; the annotations ` +
        'were made in images of another size: add --size <width>x<height> with that size',
    );
  }
}
