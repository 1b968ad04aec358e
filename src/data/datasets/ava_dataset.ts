/** @file The AVA data set: key frames, the frames around them, and the checks before the first of them is used. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../../errors.js';
import { sameFiles } from '../../files/same_files.js';
import { Names, twinClause } from '../../files/twins.js';
import { countOf } from '../../util/progress.js';
import type { Rng } from '../../util/random.js';
import { type Clip, type ClipSource, loadClip } from '../clip/clip.js';
import { getSequence } from '../clip/frames.js';
import { drawAugmentation, type TransformSettings, transformSettings } from '../clip/transforms.js';
import type { DataConfig, Split } from '../data_config.js';
import { type ProblemSink, Problems } from '../text_lines.js';
import {
  type Annotations,
  annotationFiles,
  type KeyFrame,
  listKeyFrames,
  readAnnotations,
} from './ava_annotations.js';
import { FrameFolders } from './frame_folders.js';
import { type FrameLists, frameListFiles, readFrameLists, type Video } from './frame_lists.js';

export class AvaDataset {
  readonly frameFolder: string;
  readonly transforms: TransformSettings;
  readonly numClasses: number;
  readonly #numFrames: number;
  readonly #samplingRate: number;

  private constructor(
    cfg: DataConfig,
    readonly split: Split,
    readonly videos: readonly Video[],
    /** In the order of the videos, then of time; a clip's index is its place here. */
    readonly keyFrames: readonly KeyFrame[],
    /** What is odd but does not keep the data from being used; one line each. */
    readonly warnings: readonly string[],
    /** Counts of what is left out or merged, or has nothing to learn from; one line each. */
    readonly notes: readonly string[],
  ) {
    this.frameFolder = resolve(cfg.DATA.PATH_TO_DATA_DIR, cfg.AVA.FRAME_DIR);
    this.transforms = transformSettings(cfg, split);
    this.numClasses = cfg.MODEL.STM.ACTION_CLASSES;
    this.#numFrames = cfg.DATA.NUM_FRAMES;
    this.#samplingRate = cfg.DATA.SAMPLING_RATE;
  }

  /**
   * Reads lists and annotations and checks them and that every frame which a clip uses exists (one listing per folder).
   * Throws DataError with file and line, ConfigError for a kind of data that is not supported.
   */
  static open(cfg: DataConfig, split: Split): AvaDataset {
    if (cfg.DATA.DATASETS[0] === 'ava_kinetics') {
      throw new ConfigError(
        'DATA.DATASETS: ava_kinetics is not supported; use ava_v2.2, or any other name of AVA',
      );
    }
    const lists = readFrameLists(cfg, split);
    const annotations = readAnnotations(cfg, split);
    const unknown = new Problems();
    findUnknownVideos(lists, annotations, unknown);
    unknown.throwIfAny();
    const dataset = AvaDataset.assemble(cfg, split, lists, annotations);
    const missing = new Problems();
    dataset.findMissingFrames(missing);
    missing.throwIfAny();
    return dataset;
  }

  /** The data set of lists and annotations as they are; nothing is checked. */
  static assemble(cfg: DataConfig, split: Split, lists: FrameLists, annotations: Annotations): AvaDataset {
    const names = lists.videos.map((video) => video.name);
    const keyFrames = listKeyFrames(names, annotations, cfg.AVA.FPS);
    const warnings = [...lists.warnings, ...annotations.warnings, ...filesListedTwice(cfg, split)];
    const idle = names.filter((name) => !annotations.videos.has(name));
    if (idle.length > 0) {
      warnings.push(
        `${idle.length} of ${names.length} videos in the frame lists have no annotation (first: ${idle[0]})`,
      );
    }
    const late = keyFrames.filter(
      ({ videoIndex, center }) => center >= lists.videos[videoIndex].frames.length,
    );
    if (late.length > 0) {
      const { videoIndex, second, center } = late[0];
      const { name, frames } = lists.videos[videoIndex];
      warnings.push(
        `${late.length} key frames lie beyond the end of their video and show its last frame (first: video ${name}, ` +
          `second ${second} is frame ${center} of ${frames.length} at AVA.FPS ${cfg.AVA.FPS})`,
      );
    }
    const notes = [...annotations.notes, ...boxNotes(keyFrames, lists.videos)];
    return new AvaDataset(cfg, split, lists.videos, keyFrames, warnings, notes);
  }

  /** The number of clips. */
  get length(): number {
    return this.keyFrames.length;
  }

  get numBoxes(): number {
    return this.keyFrames.reduce((sum, keyFrame) => sum + keyFrame.boxes.length, 0);
  }

  /** The numbers of the frames of a clip within its video. */
  sequence({ videoIndex, center }: KeyFrame): number[] {
    const halfLength = Math.floor((this.#numFrames * this.#samplingRate) / 2);
    return getSequence(center, halfLength, this.#samplingRate, this.videos[videoIndex].frames.length);
  }

  /** What it takes to load clip `index`, as plain data. */
  source(index: number): ClipSource {
    const keyFrame = this.keyFrames[index];
    const { videoIndex, second, boxes } = keyFrame;
    const { name, frames } = this.videos[videoIndex];
    return {
      info: { clipId: index, videoIndex, videoName: name, second },
      paths: this.sequence(keyFrame).map((frame) => resolve(this.frameFolder, frames.at(frame))),
      boxes: boxes.map((box) => box.coordinates),
      labels: boxes.map((box) => box.labels),
      numClasses: this.numClasses,
    };
  }

  /** The file of a clip's middle frame. */
  keyFramePath({ videoIndex, center }: KeyFrame): string {
    const { frames } = this.videos[videoIndex];
    return resolve(this.frameFolder, frames.at(Math.min(center, frames.length - 1)));
  }

  /** Loads clip `index`; all its random choices come from `rng`. Throws DataError that names a broken frame. */
  load(index: number, rng: Rng): Promise<Clip> {
    return loadClip(this.source(index), this.transforms, drawAugmentation(this.transforms, rng));
  }

  /** Adds the frames that a clip uses and that do not exist. */
  findMissingFrames(problems: ProblemSink): void {
    if (!mayBeFolder(this.frameFolder)) {
      const twin = twinClause(this.frameFolder);
      const settings = 'DATA.PATH_TO_DATA_DIR and AVA.FRAME_DIR';
      const remedy = twin ? `${twin} (${settings})` : `; ${settings} must lead to the frames`;
      problems.add(`${this.frameFolder}: there is no such folder${remedy}`, 'frame-folder');
      return;
    }
    const folders = new FrameFolders();
    let checked = new Set<number>();
    let videoIndex = -1;
    for (const keyFrame of this.keyFrames) {
      // Key frames come video by video, so what is known about the last one is enough.
      if (keyFrame.videoIndex !== videoIndex) {
        videoIndex = keyFrame.videoIndex;
        checked = new Set();
      }
      const video = this.videos[videoIndex];
      for (const frame of this.sequence(keyFrame)) {
        if (checked.has(frame)) continue;
        checked.add(frame);
        const path = resolve(this.frameFolder, video.frames.at(frame));
        const entry = folders.find(path);
        if (entry === 'file' || entry === 'unknown') continue;
        const where = `video ${video.name}, second ${keyFrame.second}`;
        problems.add(`${path}: ${where}: ${folders.problemOf(path, entry)}`, 'missing-frame');
      }
    }
    for (const [folder, why] of folders.unreadable) {
      problems.add(`${folder}: the frame list names files in this folder, but ${why}`, 'frame-folder');
    }
  }
}

/** Whether there is a folder, as far as this user may know; one that may not be entered is named with its frames. */
function mayBeFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return true;
  }
}

/**
 * A sentence for each list that a setting names twice, by one path, two paths or a link. Box lists of the test split are left to the
 * evaluation, where their boxes count.
 */
export function filesListedTwice(cfg: DataConfig, split: Split): string[] {
  const of = ({ key, files }: { key: string; files: string[] }, effect: string) =>
    sameFiles(files).map(([path, other]) => {
      const fact = path === other ? `${path} twice` : `${path} and ${other}, which are one file`;
      return `${key} names ${fact}: ${effect}; name it once`;
    });
  const frames = 'its frames follow each other twice, so clips at the end of a video go on at its beginning';
  return [
    ...of(frameListFiles(cfg, split), frames),
    ...(split === 'train' ? of(annotationFiles(cfg, split), 'its rows add nothing') : []),
  ];
}

/** Counts the boxes that have no action. */
function boxNotes(keyFrames: readonly KeyFrame[], videos: readonly Video[]): string[] {
  let [boxes, idle] = [0, 0];
  let first: KeyFrame | null = null;
  for (const keyFrame of keyFrames) {
    for (const { labels } of keyFrame.boxes) {
      boxes++;
      if (labels.length > 0) continue;
      idle++;
      first ??= keyFrame;
    }
  }
  if (first === null) return [];
  const where = `video ${videos[first.videoIndex].name}, second ${first.second}`;
  return [
    `${idle} of ${countOf(boxes, 'box', 'boxes')} have no action and count as persons alone (first: ${where})`,
  ];
}

/** Adds the annotated videos that are in none of the frame lists. */
export function findUnknownVideos(lists: FrameLists, annotations: Annotations, problems: ProblemSink): void {
  const known = new Set(lists.videos.map((video) => video.name));
  let names: Names | null = null;
  for (const [name, { where, rows }] of annotations.videos) {
    if (known.has(name)) continue;
    names ??= new Names(known);
    const twin = names.twinOf(name);
    const remedy = twin
      ? `they have ${twin.name}, which differs only in ${twin.how}: write the name alike in both`
      : 'add its frames there, or remove its rows';
    problems.add(
      `${where}: video ${name} (${rows} ${rows === 1 ? 'row' : 'rows'}) is in none of the frame lists ` +
        `(${lists.files.join(', ')}); ${remedy}`,
      'unknown-video',
    );
  }
}
