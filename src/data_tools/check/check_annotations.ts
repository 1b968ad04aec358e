/** @file Checks of boxes, actions and key frames. */
import type { Config } from '../../config/index.js';
import { clipsPerStep, type Split } from '../../data/data_config.js';
import {
  type AnnotationRow,
  type Annotations,
  type KeyFrame,
  type OnAnnotationRow,
  scanAnnotations,
} from '../../data/datasets/ava_annotations.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { groupByShape } from '../../data/loading/aspect_ratio_grouping.js';
import { describeDataPasses } from '../../data/loading/data_passes.js';
import { TrainSampler } from '../../data/loading/sampler.js';
import { adviceForOutside, rangeOf, readableTime, timeBaseOf } from '../../data/time.js';
import { DataError } from '../../errors.js';
import { checkGrid } from './check_grid.js';
import { checkRate } from './check_rate.js';
import type { Findings } from './findings.js';
import { RowTimes } from './row_times.js';

/** Reads the annotations of a split and reports mistakes in their rows. `knownIds` are the ids of the label map, if there is one. */
export function checkAnnotationFiles(
  cfg: Config,
  split: Split,
  knownIds: ReadonlySet<number> | null,
  findings: Findings,
): { annotations: Annotations; times: RowTimes } {
  const persons = new Persons();
  const times = new RowTimes(cfg);
  const check: OnAnnotationRow = (row, use, at) => {
    times.add(row, use);
    const where = () => `${at}: video ${row.video}, second ${readableTime(row.second)}`;
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
  const annotations = scanAnnotations(cfg, split, findings.sink(), check);
  const base = timeBaseOf(cfg.AVA);
  const advice = adviceForOutside(base, times.min, times.max);
  findings.advise('skipped', `key frames are in ${rangeOf(base)}: ${advice}`);
  return { annotations, times };
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
export function checkKeyFrames(
  cfg: Config,
  dataset: AvaDataset,
  annotations: Annotations,
  findings: Findings,
): void {
  const name = ({ videoIndex, second }: KeyFrame) =>
    `video ${dataset.videos[videoIndex].name}, second ${readableTime(second)}`;
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
  checkGrid(cfg.AVA.KEY_FRAME_STEP, dataset, findings);
  checkRate(dataset, annotations, findings);
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
    const sampler = new TrainSampler(groups, clipsPerStep(cfg), 1, 0);
    const { warning } = describeDataPasses(sampler, cfg.SOLVER.ITER_PER_EPOCH);
    if (warning !== null) findings.add('epoch', warning);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    // Data without key frames has another error, from which this one follows.
    const isReported = findings.all.some(({ severity }) => severity === 'error');
    if (dataset.length > 0 || !isReported) findings.add('small-data', error.message);
  }
}
