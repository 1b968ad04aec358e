/** @file Checks of boxes, actions and key frames. */

import { groupByShape } from '../../data/clip/image_size.js';
import { clipsPerStep, type DataConfig, type Split } from '../../data/data_config.js';
import {
  type AnnotationRow,
  type Annotations,
  type KeyFrame,
  type RowUse,
  SECOND_OF_FRAME_0,
  scanAnnotations,
} from '../../data/datasets/ava_annotations.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { TrainSampler } from '../../data/loading/sampler.js';
import { DataError } from '../../errors.js';
import type { Findings } from './findings.js';

/** Reads the annotations of a split and reports mistakes and oddities of their rows. */
export function checkAnnotationFiles(
  cfg: DataConfig,
  split: Split,
  inLabelMap: ((id: number) => boolean) | null,
  findings: Findings,
): Annotations {
  const persons = new Persons();
  const check = (row: AnnotationRow, use: RowUse, file: string, line: number) => {
    const at = () => `${file}:${line}: video ${row.video}, second ${row.second}`;
    const other = persons.contradicts(row);
    if (other !== null) {
      findings.add(
        'several-persons',
        split,
        () => `${at()}: ${row.boxText} is ${row.person}, and ${other} before`,
      );
    }
    if (use === 'outside') findings.add('skipped', split, at);
    if (use === 'repeated') findings.add('repeated', split, at);
    if (use !== 'new') return;
    if (row.coordinates.some((value) => value < 0 || value > 1)) {
      findings.add('outside', split, () => `${at()}: ${row.boxText}`);
    }
    if (row.label !== null && inLabelMap && !inLabelMap(row.label)) {
      findings.add('outside-map', split, () => `${at()}: action ${row.label}`);
    }
  };
  return scanAnnotations(cfg, split, findings.sink(split), check);
}

/** The person ids of the boxes of one key frame, whose rows mostly come together. */
class Persons {
  #keyFrame = '';
  readonly #ids = new Map<string, string>();

  /** The id that an earlier row of this key frame gave the box, where that is another one. */
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

/** The configuration as far as these checks need it. */
type CheckConfig = DataConfig & { readonly MODEL: { readonly STM: { readonly NUM_QUERIES: number } } };

/** Reports what is odd about key frames. */
export function checkKeyFrames(
  cfg: CheckConfig,
  dataset: AvaDataset,
  split: Split,
  findings: Findings,
): void {
  const name = ({ videoIndex, second }: KeyFrame) =>
    `video ${dataset.videos[videoIndex].name}, second ${second}`;
  for (const keyFrame of dataset.keyFrames) {
    const { boxes } = keyFrame;
    const idle = boxes.filter(({ labels }) => labels.length === 0).length;
    if (idle > 0) findings.add('no-action', split, () => name(keyFrame), idle);
    if (boxes.length > cfg.MODEL.STM.NUM_QUERIES) {
      findings.add('crowded', split, `${name(keyFrame)}: ${boxes.length} boxes`);
    }
    const different = new Set(boxes.map(({ coordinates }) => coordinates.join()));
    if (different.size < boxes.length)
      findings.add('same-box', split, name(keyFrame), boxes.length - different.size);
  }
  const annotated = new Set(dataset.keyFrames.map(({ videoIndex }) => videoIndex));
  dataset.videos.forEach((video, index) => {
    if (!annotated.has(index)) findings.add('idle', split, video.name);
  });
  checkRate(cfg, dataset, split, findings);
  checkBatches(cfg, dataset, split, findings);
}

/** Whether the loader can make batches. */
function checkBatches(cfg: CheckConfig, dataset: AvaDataset, split: Split, findings: Findings): void {
  let groups: Uint8Array = new Uint8Array(dataset.length);
  if (cfg.DATALOADER.ASPECT_RATIO_GROUPING) {
    try {
      groups = groupByShape(dataset);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      findings.add('no-shape', split, error.message);
    }
  }
  if (split === 'test') return;
  try {
    new TrainSampler(groups, clipsPerStep(cfg), 1, 0);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    findings.add('small-data', split, error.message);
  }
}

/** Rates that frames are usually extracted at. */
const USUAL_RATES = [60, 50, 30, 25, 24, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1];
/** How much longer than its annotations a video may be without a word. */
const MUCH_LONGER = 1.5;
/** AVA's films go on for a while after the last second. */
const TAIL_SECONDS = 5;

/** Whether the frames of the videos last as long as their annotations, at AVA.FPS. */
function checkRate(cfg: CheckConfig, dataset: AvaDataset, split: Split, findings: Findings): void {
  const { FPS } = cfg.AVA;
  const lastSeconds = new Map<number, number>();
  const late = new Set<number>();
  for (const { videoIndex, second, center } of dataset.keyFrames) {
    const { name, frames } = dataset.videos[videoIndex];
    lastSeconds.set(videoIndex, second);
    if (center < frames.length) continue;
    late.add(videoIndex);
    findings.add(
      'beyond-end',
      split,
      () => `video ${name}, second ${second} is frame ${center} of ${frames.length}`,
    );
  }
  const rates = [...lastSeconds].map(
    ([index, second]) => dataset.videos[index].frames.length / (second - SECOND_OF_FRAME_0 + TAIL_SECONDS),
  );
  if (late.size > 0) {
    const fits = Math.min(
      ...[...lastSeconds].map(
        ([index, second]) => (dataset.videos[index].frames.length - 1) / (second - SECOND_OF_FRAME_0),
      ),
    );
    const rate = USUAL_RATES.find((candidate) => candidate <= fits);
    const most = late.size * 2 >= lastSeconds.size;
    findings.advise(
      'beyond-end',
      split,
      most && rate !== undefined
        ? `such clips show the last frame only. In ${late.size} of ${lastSeconds.size} videos AVA.FPS ${FPS} is more than ` +
            `the frames have; AVA.FPS ${rate} would fit all`
        : `such clips show the last frame only: in ${late.size} of ${lastSeconds.size} videos frames are missing at the end; ` +
            'extract them again, or remove the rows',
    );
    return;
  }
  const median = rates.sort((a, b) => a - b)[rates.length >> 1];
  if (median === undefined || median < MUCH_LONGER * FPS) return;
  const [index, second] = lastSeconds.entries().next().value as [number, number];
  const { name, frames } = dataset.videos[index];
  findings.add(
    'long-video',
    split,
    `video ${name} has ${frames.length} frames, ${Math.round(frames.length / FPS)} s at AVA.FPS ${FPS}; its last ` +
      `annotated second is ${second}`,
    rates.filter((rate) => rate >= MUCH_LONGER * FPS).length,
  );
  findings.advise(
    'long-video',
    split,
    `right if only a part is annotated; else AVA.FPS ${FPS} is less than the frames have`,
  );
}
