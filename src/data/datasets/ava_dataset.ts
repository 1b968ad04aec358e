/** @file The AVA data set: key frames, the frames around them, and the checks before the first one is used. */
import { resolve } from 'node:path';
import { ConfigError } from '../../errors.js';
import { sameFiles } from '../../files/same_files.js';
import { Names } from '../../files/twins.js';
import type { Rng } from '../../util/random.js';
import { countOf } from '../../util/text.js';
import { type Clip, type ClipSource, loadClip } from '../clip/clip.js';
import { getSequence } from '../clip/frames.js';
import { drawAugmentation, type TransformSettings, transformSettings } from '../clip/transforms.js';
import type { DataConfig, Split } from '../data_config.js';
import { folderProblem, requireDataFolders } from '../data_folders.js';
import { type ProblemSink, Problems } from '../problems.js';
import { readableTime, type TimeBase, timeBaseOf } from '../time.js';
import {
  type Annotations,
  annotationFiles,
  type KeyFrame,
  listKeyFrames,
  readAnnotations,
} from './ava_annotations.js';
import { FrameFolders } from './frame_folders.js';
import { type FrameLists, frameListFiles, readFrameLists, type Video } from './frame_lists.js';
import {
  findMissing,
  type LeftOut,
  leaveOutMissing,
  leftOutSentence,
  type PresentData,
} from './missing_data.js';

/** Advice for frames that are missing. */
export const LEAVE_OUT = 'DATA.MISSING skip leaves out what is missing and uses the rest';

export class AvaDataset {
  readonly frameFolder: string;
  readonly transforms: TransformSettings;
  readonly numClasses: number;
  readonly timeBase: TimeBase;
  readonly videos: readonly Video[];
  /** Key frames in the order of the videos, then of time. The index of a clip is its index here. */
  readonly keyFrames: readonly KeyFrame[];
  /** Oddities that do not prevent the use of the data, one line each. */
  readonly warnings: readonly string[];
  /** Counts of data that is left out or merged, or has nothing to learn from, one line each. */
  readonly notes: readonly string[];
  /** What DATA.MISSING skip leaves out; null if nothing is missing, or nothing may be. */
  readonly leftOut: LeftOut | null;
  readonly #numFrames: number;
  readonly #samplingRate: number;

  private constructor(
    cfg: DataConfig,
    readonly split: Split,
    { lists, annotations, leftOut }: PresentData,
  ) {
    this.videos = lists.videos;
    this.leftOut = leftOut;
    const names = this.videos.map((video) => video.name);
    this.timeBase = timeBaseOf(cfg.AVA);
    this.keyFrames = listKeyFrames(names, annotations, this.timeBase);
    this.warnings = [
      ...(leftOut === null ? [] : [leftOutSentence(leftOut, split)]),
      ...lists.warnings,
      ...annotations.warnings,
      ...filesListedTwice(cfg, split),
      ...videoWarnings(names, annotations),
      ...lateWarnings(this.keyFrames, this.videos, cfg.AVA.FPS),
    ];
    this.notes = [...annotations.notes, ...boxNotes(this.keyFrames, this.videos)];
    this.frameFolder = resolve(cfg.DATA.PATH_TO_DATA_DIR, cfg.AVA.FRAME_DIR);
    this.transforms = transformSettings(cfg, split);
    this.numClasses = cfg.MODEL.STM.ACTION_CLASSES;
    this.#numFrames = cfg.DATA.NUM_FRAMES;
    this.#samplingRate = cfg.DATA.SAMPLING_RATE;
  }

  /**
   * Reads and checks lists and annotations, and checks that every frame of a clip exists (one listing per folder); with
   * DATA.MISSING skip, clips without frames are left out. Throws DataError with file and line, ConfigError for an unsupported
   * kind of data.
   */
  static open(cfg: DataConfig, split: Split): AvaDataset {
    if (cfg.DATA.DATASETS[0] === 'ava_kinetics') {
      throw new ConfigError(
        'DATA.DATASETS: ava_kinetics is not supported; use ava_v2.2, or any other version of AVA',
      );
    }
    requireDataFolders(cfg);
    const lists = readFrameLists(cfg, split);
    const annotations = readAnnotations(cfg, split);
    const problems = new Problems();
    if (cfg.DATA.MISSING === 'skip') {
      const part = AvaDataset.assemble(cfg, split, lists, annotations).present(
        cfg,
        { lists, annotations },
        problems,
      );
      problems.throwIfAny();
      return part;
    }
    findUnknownVideos(lists, annotations, problems);
    problems.throwIfAny();
    const dataset = AvaDataset.assemble(cfg, split, lists, annotations);
    dataset.findMissingFrames(problems);
    problems.throwIfAny(LEAVE_OUT);
    return dataset;
  }

  /** Combines lists and annotations without checking them. */
  static assemble(cfg: DataConfig, split: Split, lists: FrameLists, annotations: Annotations): AvaDataset {
    return new AvaDataset(cfg, split, { lists, annotations, leftOut: null });
  }

  /**
   * The part of this data set whose frames exist; itself if nothing is missing. Reports why there is none. Needs what the data set
   * was assembled from.
   */
  present(
    cfg: DataConfig,
    from: { readonly lists: FrameLists; readonly annotations: Annotations },
    problems: ProblemSink,
  ): AvaDataset {
    if (this.#reportNoFolder(problems)) return this;
    const part = leaveOutMissing(this, from, problems);
    return part.leftOut === null ? this : new AvaDataset(cfg, this.split, part);
  }

  /** The number of clips. */
  get length(): number {
    return this.keyFrames.length;
  }

  get numBoxes(): number {
    return this.keyFrames.reduce((sum, keyFrame) => sum + keyFrame.boxes.length, 0);
  }

  /** The frame numbers of a clip within its video. */
  readonly sequence = ({ videoIndex, center }: KeyFrame): number[] => {
    const halfLength = Math.floor((this.#numFrames * this.#samplingRate) / 2);
    return getSequence(center, halfLength, this.#samplingRate, this.videos[videoIndex].frames.length);
  };

  /** Everything needed to load clip `index`, as plain data. */
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

  /** Path of the middle frame of a clip. */
  keyFramePath({ videoIndex, center }: KeyFrame): string {
    const { frames } = this.videos[videoIndex];
    return resolve(this.frameFolder, frames.at(Math.min(center, frames.length - 1)));
  }

  /** Loads clip `index`; all its random choices come from `rng`. Throws DataError that names a broken frame. */
  load(index: number, rng: Rng): Promise<Clip> {
    return loadClip(this.source(index), this.transforms, drawAugmentation(this.transforms, rng));
  }

  /** Reports the frames of clips that do not exist. */
  findMissingFrames(problems: ProblemSink): void {
    if (this.#reportNoFolder(problems)) return;
    const folders = new FrameFolders();
    findMissing(this, folders, ({ keyFrame, path, entry, isNew }) => {
      if (entry === 'unknown' || !isNew) return;
      const { name } = this.videos[keyFrame.videoIndex];
      const where = `video ${name}, second ${readableTime(keyFrame.second)}`;
      problems.add(`${path}: ${where}: ${folders.problemOf(path, entry)}`, 'missing-frame');
    });
    for (const [folder, why] of folders.unreadable) {
      problems.add(`${folder}: the frame list names files in this folder, but ${why}`, 'frame-folder');
    }
  }

  /** Reports that there is no folder of frames at all; returns whether that is so. */
  #reportNoFolder(problems: ProblemSink): boolean {
    const problem = folderProblem('AVA.FRAME_DIR', this.frameFolder);
    if (problem === null) return false;
    problems.add(problem, 'frame-folder');
    return true;
  }
}

/**
 * Warnings about lists that a setting names twice, by one path, two paths or a link. The evaluation reports box lists of the test
 * split itself, because there their boxes count twice.
 */
export function filesListedTwice(cfg: DataConfig, split: Split): string[] {
  const warningsAbout = ({ key, files }: { key: string; files: string[] }, effect: string) =>
    sameFiles(files).map(([path, other]) => {
      const fact = path === other ? `${path} twice` : `${path} and ${other}, which are one file`;
      return `${key} names ${fact}: ${effect}; name it once`;
    });
  const frames =
    'its frames follow each other twice, so clips at the end of a video continue at its beginning';
  return [
    ...warningsAbout(frameListFiles(cfg, split), frames),
    ...(split === 'train' ? warningsAbout(annotationFiles(cfg, split), 'its rows add nothing') : []),
  ];
}

/** Warns about videos without annotations. */
function videoWarnings(names: readonly string[], annotations: Annotations): string[] {
  const idle = names.filter((name) => !annotations.videos.has(name));
  if (idle.length === 0) return [];
  return [
    `${idle.length} of ${names.length} videos in the frame lists have no annotation (first: ${idle[0]})`,
  ];
}

/** Warns about key frames beyond the end of their video. */
function lateWarnings(keyFrames: readonly KeyFrame[], videos: readonly Video[], fps: number): string[] {
  const late = keyFrames.filter(({ videoIndex, center }) => center >= videos[videoIndex].frames.length);
  if (late.length === 0) return [];
  const { videoIndex, second, center } = late[0];
  const { name, frames } = videos[videoIndex];
  return [
    `${late.length} key frames lie beyond the end of their video and show its last frame (first: video ${name}, ` +
      `second ${readableTime(second)} is frame ${center} of ${frames.length} at AVA.FPS ${fps})`,
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
  const where = `video ${videos[first.videoIndex].name}, second ${readableTime(first.second)}`;
  return [
    `${idle} of ${countOf(boxes, 'box', 'boxes')} have no action and count as persons only (first: ${where})`,
  ];
}

/** Reports the annotated videos that are in none of the frame lists. */
export function findUnknownVideos(lists: FrameLists, annotations: Annotations, problems: ProblemSink): void {
  const known = new Set(lists.videos.map((video) => video.name));
  let names: Names | null = null;
  for (const [name, { where, rows }] of annotations.videos) {
    if (known.has(name)) continue;
    names ??= new Names(known);
    const twin = names.twinOf(name);
    const remedy = twin
      ? `they have ${twin.name}, which differs only in ${twin.how}: write the name the same way in both`
      : 'add its frames there, remove its rows, or set DATA.MISSING skip to leave the video out';
    problems.add(
      `${where}: video ${name} (${rows} ${rows === 1 ? 'row' : 'rows'}) is in none of the frame lists ` +
        `(${lists.files.join(', ')}); ${remedy}`,
      'unknown-video',
    );
  }
}
