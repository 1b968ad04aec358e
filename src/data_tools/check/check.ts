/** @file `stmixer data check`: everything about a data set that would go wrong later, in one report. */
import { existsSync } from 'node:fs';
import type { Config } from '../../config/index.js';
import { annotationPath, type Split } from '../../data/data_config.js';
import { AvaDataset, filesListedTwice, findUnknownVideos } from '../../data/datasets/ava_dataset.js';
import { type ActionLabel, readLabelMap } from '../../data/datasets/label_map.js';
import { DataError } from '../../errors.js';
import { readExclusions } from '../../evaluation/ava_csv.js';
import { readTruth, truthFilesOf, truthSide } from '../../evaluation/evaluate_files.js';
import { exclusionNote, exclusionSentence } from '../../evaluation/mismatch/exclusions.js';
import { labelNameSentence, sameFileSentence } from '../../evaluation/mismatch/repeats.js';
import { checkAnnotationFiles, checkKeyFrames } from './check_annotations.js';
import { checkFrameFiles, checkFrameLists, checkPreparedRate } from './check_frames.js';
import { checkPictures, numPictures } from './check_images.js';
import { type Finding, type FindingKind, Findings } from './findings.js';

export interface SplitNumbers {
  readonly videos: number;
  readonly frames: number;
  readonly keyFrames: number;
  readonly boxes: number;
  /** Pairs of a box and an action. */
  readonly labels: number;
}

/** Boxes of one action; the name is null where the label map does not have it. */
export interface ClassNumbers {
  readonly id: number;
  readonly name: string | null;
  readonly train: number;
  readonly test: number;
}

export interface CheckReport {
  readonly splits: Readonly<Record<Split, SplitNumbers>>;
  /** Those of the label map, and others that occur. */
  readonly classes: readonly ClassNumbers[];
  /** The gravest first. */
  readonly findings: readonly Finding[];
}

/** What a long check tells about itself. */
export interface CheckProgress {
  /** A part of the work begins, of so many steps where that is known. */
  begin(what: string, total?: number): void;
  advance(steps: number): void;
}

/** Whether training or its evaluation would end with a DataError. */
export function hasErrors({ findings }: CheckReport): boolean {
  return findings.some(({ severity }) => severity === 'error');
}

/** Checks both splits; `deep` decodes every frame that clips use instead of a sample. */
export async function checkData(cfg: Config, deep: boolean, progress: CheckProgress): Promise<CheckReport> {
  // Such clips are left out then.
  const findings = new Findings(cfg.DATALOADER.ON_ERROR === 'skip' ? ['broken-picture', 'mixed-clip'] : []);
  const labelMap = checkLabelMap(cfg, findings);
  checkExclusions(cfg, findings);
  const train = await checkSplit(cfg, 'train', labelMap, deep, findings, progress);
  const test = await checkSplit(cfg, 'test', labelMap, deep, findings, progress);
  checkTruth(cfg, findings);
  for (const name of train.annotated) {
    if (test.annotated.has(name)) findings.add('overlap', null, `video ${name}`);
  }
  return {
    splits: { train: train.numbers, test: test.numbers },
    classes: checkClasses(labelMap, train.labels, test.labels, findings),
    findings: findings.sorted(),
  };
}

function checkLabelMap(cfg: Config, findings: Findings): ActionLabel[] | null {
  const path = annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE);
  const labels = orFinding(
    () => readLabelMap(path),
    (message) => findings.add('label-map', null, message),
  );
  if (!labels) return null;
  const classes = cfg.MODEL.STM.ACTION_CLASSES;
  const sameName = labelNameSentence(labels);
  if (sameName !== null) findings.add('same-name', null, sameName);
  for (const { id, name } of labels) {
    if (id > classes) findings.add('map-beyond-classes', null, `${id} ${name}, of ${classes}`);
  }
  if (classes > labels.length && labels.every(({ id }) => id <= classes)) {
    findings.add(
      'more-classes',
      null,
      `MODEL.STM.ACTION_CLASSES is ${classes}, the label map has ${labels.length}`,
    );
  }
  return labels;
}

function checkExclusions(cfg: Config, findings: Findings): void {
  if (cfg.AVA.EXCLUSION_FILE === '') return;
  const path = annotationPath(cfg, cfg.AVA.EXCLUSION_FILE);
  const keys = orFinding(
    () => readExclusions(path),
    (message) => findings.add('exclusions', null, message),
  );
  if (keys?.size === 0) findings.add('no-exclusions', null, path);
}

/** What the evaluation says about its files and exclusions; files that cannot be read were reported before. */
function checkTruth(cfg: Config, findings: Findings): void {
  const truth = orFinding(
    () => readTruth(truthFilesOf(cfg)),
    () => {},
  );
  if (!truth) return;
  const side = truthSide(truth);
  const add = (kind: FindingKind, sentence: string | null) => {
    if (sentence !== null) findings.add(kind, 'test', sentence);
  };
  add('same-file', sameFileSentence(side, null));
  add('idle-exclusions', exclusionSentence([side], truth.excluded));
  add('excluded', exclusionNote([side], truth.excluded));
}

function orFinding<T>(read: () => T, report: (message: string) => void): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    report(error.message);
    return null;
  }
}

interface SplitResult {
  readonly numbers: SplitNumbers;
  readonly annotated: ReadonlySet<string>;
  /** Boxes by action id. */
  readonly labels: ReadonlyMap<number, number>;
}

async function checkSplit(
  cfg: Config,
  split: Split,
  labelMap: readonly ActionLabel[] | null,
  deep: boolean,
  findings: Findings,
  progress: CheckProgress,
): Promise<SplitResult> {
  const known = labelMap && new Set(labelMap.map(({ id }) => id));
  for (const sentence of filesListedTwice(cfg, split)) findings.add('same-file', split, sentence);
  progress.begin(`${split}: reading frame lists`);
  const lists = checkFrameLists(cfg, split, findings);
  progress.begin(`${split}: reading annotations`);
  const annotations = checkAnnotationFiles(cfg, split, known && ((id) => known.has(id)), findings);
  // Without any list, the missing list is the finding, not every video.
  if (lists.videos.length > 0) findUnknownVideos(lists, annotations, findings.sink(split));
  const dataset = AvaDataset.assemble(cfg, split, lists, annotations);
  const frames = dataset.videos.reduce((sum, video) => sum + video.frames.length, 0);
  if (annotations.videos.size > 0) checkKeyFrames(cfg, dataset, split, findings);
  if (frames > 0) {
    progress.begin(`${split}: looking for the frames`, frames);
    dataset.findMissingFrames(findings.sink(split));
    if (existsSync(dataset.frameFolder)) {
      checkPreparedRate(cfg, dataset, split, findings);
      const flags = checkFrameFiles(dataset, split, findings, (done) => progress.advance(done));
      progress.begin(`${split}: decoding frames`, numPictures(flags, deep));
      await checkPictures(dataset, flags, split, deep, findings, () => progress.advance(1));
    }
  }
  const labels = new Map<number, number>();
  for (const { boxes } of dataset.keyFrames) {
    for (const box of boxes) for (const id of box.labels) labels.set(id, (labels.get(id) ?? 0) + 1);
  }
  const numbers = {
    videos: dataset.videos.length,
    frames,
    keyFrames: dataset.length,
    boxes: dataset.numBoxes,
    labels: [...labels.values()].reduce((sum, count) => sum + count, 0),
  };
  return { numbers, annotated: new Set(annotations.videos.keys()), labels };
}

function checkClasses(
  labelMap: readonly ActionLabel[] | null,
  train: ReadonlyMap<number, number>,
  test: ReadonlyMap<number, number>,
  findings: Findings,
): ClassNumbers[] {
  const names = new Map(labelMap?.map(({ id, name }) => [id, name]));
  for (const [id, name] of names) {
    if (train.size > 0 && !train.has(id)) findings.add('untrained-class', 'train', `${id} ${name}`);
    if (test.size > 0 && !test.has(id)) findings.add('untested-class', 'test', `${id} ${name}`);
  }
  const ids = new Set([...names.keys(), ...train.keys(), ...test.keys()]);
  return [...ids]
    .sort((a, b) => a - b)
    .map((id) => ({ id, name: names.get(id) ?? null, train: train.get(id) ?? 0, test: test.get(id) ?? 0 }));
}
