/** @file What annotation programs have in common: videos, tracks of boxes, and what could not be carried over. */
import type { Size } from '../../media/image_header.js';
import { countOf } from '../../util/text.js';

/** x1, y1, x2, y2. */
export type Corners = readonly [number, number, number, number];

/** A box of a track at one time. */
export interface TrackKey {
  /** Seconds from the beginning of the video, or the number of a frame as the file counts them; see `ImportedVideo.clock`. */
  readonly at: number;
  readonly box: Corners;
  /** False if the person is out of view from here to the next key. */
  readonly visible: boolean;
  /** Whether a person drew the box here; false for boxes that the program interpolated. */
  readonly drawn: boolean;
  /** Whether the format interpolates from here to the next key. */
  readonly continues: boolean;
  /** Name of an attribute → its values. */
  readonly attributes: Attributes;
  /** Degrees by which the box is turned clockwise about its upper left corner, for units that are not square. */
  readonly turn?: number;
}

export type Attributes = ReadonlyMap<string, readonly string[]>;

/** One person in one video. */
export interface Track {
  readonly video: ImportedVideo;
  /** The number or name of the person in the file; null if boxes are not connected. */
  readonly person: string | null;
  /** Classes of the boxes, such as "person". */
  readonly labels: readonly string[];
  /** In the order of time. */
  readonly keys: TrackKey[];
  /** Whether the last box stays until the end of the video. */
  readonly staysToEnd: boolean;
  /** Place in the file, for messages. */
  readonly where: string;
}

export interface ImportedVideo {
  readonly name: string;
  /** Whether the file names the video; otherwise its name is made up. */
  readonly isNamed: boolean;
  /** What the file calls it, for messages and to find its file. */
  readonly source: string;
  /** Whether `source` is a video; otherwise the frames are separate images. */
  readonly isVideo: boolean;
  readonly clock: 'seconds' | 'frames';
  /** Units of the boxes. */
  readonly units: 'pixels' | 'fractions';
  size: Size | null;
  /** Rate of the frames that the file counts, if it says so. */
  fps: number | null;
  /** The number of the first frame, in the way the file counts. */
  readonly firstFrame: number;
  /** Whether the format fixes the number of the first frame; otherwise it is only usual. */
  readonly isFirstSure: boolean;
  /** Number of the last frame, if it is known. */
  readonly lastFrame: number | null;
  /** Path of one of the images, as in the file. */
  readonly image: string | null;
}

/** Values that hold for a stretch of time, without a box of their own. */
export interface Segment {
  readonly video: ImportedVideo;
  /** First and last time, by the clock of the video. */
  readonly from: number;
  readonly to: number;
  readonly attributes: Attributes;
  /** The track that it belongs to; null if the file does not say. */
  readonly track: Track | null;
  readonly where: string;
}

/** How people choose an attribute. */
export type AttributeKind = 'choice' | 'flag' | 'text';

export interface AttributeInfo {
  readonly kind: AttributeKind;
  /** Values in the order in which the file defines them. */
  readonly values: string[];
}

/** The annotations in one or several files. */
export interface Imported {
  readonly videos: ImportedVideo[];
  readonly tracks: Track[];
  readonly segments: Segment[];
  readonly attributes: Map<string, AttributeInfo>;
  /** Classes in the order in which the file defines them. */
  readonly labels: Set<string>;
  readonly losses: Losses;
}

/** A video of which only separate images are annotated; only their names are known. */
export function videoOfImages(name: string, image: string): ImportedVideo {
  return {
    name,
    isNamed: true,
    source: image,
    isVideo: false,
    clock: 'frames',
    units: 'pixels',
    size: null,
    fps: null,
    // ffmpeg and `stmixer data prepare` number frames from 1.
    firstFrame: 1,
    isFirstSure: false,
    lastFrame: null,
    image,
  };
}

export function nothingImported(): Imported {
  return {
    videos: [],
    tracks: [],
    segments: [],
    attributes: new Map(),
    labels: new Set(),
    losses: new Losses(),
  };
}

/** Notes that an attribute exists, and adds values that it may have. */
export function defineAttribute(
  imported: Imported,
  name: string,
  kind: AttributeKind,
  values: Iterable<string> = [],
): void {
  const known = imported.attributes.get(name) ?? { kind, values: [] };
  imported.attributes.set(name, known);
  for (const value of values) if (value !== '' && !known.values.includes(value)) known.values.push(value);
}

/** What happened to a thing that AVA's csv cannot hold as it is. */
const FATES = {
  left: 'left out',
  boxed: 'replaced by their bounding boxes',
  clipped: 'cut at the edge of the image',
  kept: 'kept as ordinary boxes',
} as const;

type Fate = keyof typeof FATES;

/** Things that AVA's csv cannot hold: how many of each kind, and where the first is. */
export class Losses {
  readonly #found = new Map<
    string,
    { fate: Fate; one: string; many: string; number: number; first: string }
  >();

  /** `many` is the plural of `one`, if it does not just end in s. */
  add(fate: Fate, at: string, one: string, many = `${one}s`): void {
    const key = `${fate} ${one}`;
    const entry = this.#found.get(key);
    if (entry) entry.number++;
    else this.#found.set(key, { fate, one, many, number: 1, first: at });
  }

  /** Lines such as `left out: 3 polylines (first: a.xml:12)`. */
  describe(): string[] {
    return [...this.#found.values()].map(
      ({ fate, one, many, number, first }) =>
        `${FATES[fate]}: ${countOf(number, one, many)} (${number > 1 ? 'first: ' : ''}${first})`,
    );
  }
}
