/** @file Checks of boxes, actions and key frames. */
import type { Config } from '../../config/index.js';
import { clipsPerStep, type Split } from '../../data/data_config.js';
import {
  type AnnotationRow,
  type Annotations,
  type KeyFrame,
  type OnAnnotationRow,
  SECOND_OF_FRAME_0,
  scanAnnotations,
} from '../../data/datasets/ava_annotations.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { Video } from '../../data/datasets/frame_lists.js';
import { groupByShape } from '../../data/loading/aspect_ratio_grouping.js';
import { TrainSampler } from '../../data/loading/sampler.js';
import { DataError } from '../../errors.js';
import type { Findings } from './findings.js';

/** Reads the annotations of a split and reports mistakes in their rows. `knownIds` are the ids of the label map, if there is one. */
export function checkAnnotationFiles(
  cfg: Config,
  split: Split,
  knownIds: ReadonlySet<number> | null,
  findings: Findings,
): Annotations {
  const persons = new Persons();
  const check: OnAnnotationRow = (row, use, at) => {
    const where = () => `${at}: video ${row.video}, second ${row.second}`;
    const other = persons.contradicts(row);
    if (other !== null) {
      findings.add(
        'several-persons',
        () => `${where()}: ${row.boxText} is ${row.person}, and ${other} before`,
      );
    }
    if (use === 'outside') findings.add('skipped', where);
    if (use === 'repeated') findings.add('repeated', where);
    if (use !== 'new') return;
    if (row.coordinates.some((value) => value < 0 || value > 1)) {
      findings.add('outside', () => `${where()}: ${row.boxText}`);
    }
    if (row.label !== null && knownIds && !knownIds.has(row.label)) {
      findings.add('outside-map', () => `${where()}: action ${row.label}`);
    }
  };
  return scanAnnotations(cfg, split, findings.sink(), check);
}

/** The person ids of the boxes of one key frame; rows of a key frame usually come together. */
class Persons {
  #keyFrame = '';
  readonly #ids = new Map<string, string>();

  /** The person id that an earlier row of this key frame gave the box, if it is a different one. */
  contradicts({ video, second, boxText, person }: AnnotationRow): string | null {
    const keyFrame = `${video},${second}`;
    if (keyFrame !== this.#keyFrame) {
      this.#keyFrame = keyFrame;
      this.#ids.clear();
    }
    if (person === undefined || person.trim() === '') return null;
    const before = this.#ids.get(boxText);
    if (before === undefined) this.#ids.set(boxText, person.trim());
    return before !== undefined && before !== person.trim() ? before : null;
  }
}

/** Reports problems of key frames. */
export function checkKeyFrames(cfg: Config, dataset: AvaDataset, findings: Findings): void {
  const name = ({ videoIndex, second }: KeyFrame) =>
    `video ${dataset.videos[videoIndex].name}, second ${second}`;
  for (const keyFrame of dataset.keyFrames) {
    const { boxes } = keyFrame;
    const idle = boxes.filter(({ labels }) => labels.length === 0).length;
    if (idle > 0) findings.add('no-action', () => name(keyFrame), idle);
    if (boxes.length > cfg.MODEL.STM.NUM_QUERIES) {
      findings.add('crowded', `${name(keyFrame)}: ${boxes.length} boxes`);
    }
    const different = new Set(boxes.map(({ coordinates }) => coordinates.join()));
    if (different.size < boxes.length)
      findings.add('same-box', name(keyFrame), boxes.length - different.size);
  }
  const annotated = new Set(dataset.keyFrames.map(({ videoIndex }) => videoIndex));
  dataset.videos.forEach((video, index) => {
    if (!annotated.has(index)) findings.add('idle', video.name);
  });
  checkRate(cfg, dataset, findings);
  checkBatches(cfg, dataset, findings);
}

/** Checks whether the loader can make batches. */
function checkBatches(cfg: Config, dataset: AvaDataset, findings: Findings): void {
  let groups: Uint8Array = new Uint8Array(dataset.length);
  if (cfg.DATALOADER.ASPECT_RATIO_GROUPING) {
    try {
      groups = groupByShape(dataset);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      findings.add('no-shape', error.message);
    }
  }
  if (dataset.split === 'test') return;
  try {
    new TrainSampler(groups, clipsPerStep(cfg), 1, 0);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    findings.add('small-data', error.message);
  }
}

/** Common frame rates. */
const COMMON_RATES = [60, 50, 30, 25, 24, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1];
/** Factor by which a video may be longer than its annotations without being reported. */
const MUCH_LONGER = 1.5;
/** Time that AVA's films continue after the last annotated second. */
const TAIL_SECONDS = 5;

/** Checks whether the frames of the videos last as long as their annotations, at AVA.FPS. */
function checkRate(cfg: Config, dataset: AvaDataset, findings: Findings): void {
  const lastSeconds = new Map<number, number>();
  const late = new Set<number>();
  for (const { videoIndex, second, center } of dataset.keyFrames) {
    const { name, frames } = dataset.videos[videoIndex];
    lastSeconds.set(videoIndex, second);
    if (center < frames.length) continue;
    late.add(videoIndex);
    findings.add(
      'beyond-end',
      () => `video ${name}, second ${second} is frame ${center} of ${frames.length}`,
    );
  }
  const ends = [...lastSeconds].map(([index, second]) => ({ video: dataset.videos[index], second }));
  if (late.size > 0) findings.advise('beyond-end', adviceForLate(late.size, ends, cfg.AVA.FPS));
  else checkLength(ends, cfg.AVA.FPS, findings);
}

/** A video and its last annotated second. */
interface AnnotatedEnd {
  readonly video: Video;
  readonly second: number;
}

/** Advice about `late` videos with key frames beyond their end. */
function adviceForLate(late: number, ends: readonly AnnotatedEnd[], fps: number): string {
  const maxRate = Math.min(
    ...ends.map(({ video, second }) => (video.frames.length - 1) / (second - SECOND_OF_FRAME_0)),
  );
  const rate = COMMON_RATES.find((candidate) => candidate <= maxRate);
  const share = `${late} of ${ends.length} videos`;
  return late * 2 >= ends.length && rate !== undefined
    ? `such clips show only the last frame. In ${share} AVA.FPS ${fps} is higher than the rate of the frames; ` +
        `AVA.FPS ${rate} would fit all of them`
    : `such clips show only the last frame: in ${share} frames are missing at the end; extract them again, or remove ` +
        'the rows';
}

/** Reports videos that last much longer than their annotations. */
function checkLength(ends: readonly AnnotatedEnd[], fps: number, findings: Findings): void {
  const rates = ends
    .map(({ video, second }) => video.frames.length / (second - SECOND_OF_FRAME_0 + TAIL_SECONDS))
    .sort((a, b) => a - b);
  const median = rates[rates.length >> 1];
  if (median === undefined || median < MUCH_LONGER * fps) return;
  const [{ video, second }] = ends;
  const { name, frames } = video;
  findings.add(
    'long-video',
    `video ${name} has ${frames.length} frames, ${Math.round(frames.length / fps)} s at AVA.FPS ${fps}; its last ` +
      `annotated second is ${second}`,
    rates.filter((rate) => rate >= MUCH_LONGER * fps).length,
  );
  findings.advise(
    'long-video',
    `correct if only a part is annotated; otherwise AVA.FPS ${fps} is lower than the rate of the frames`,
  );
}
