/** @file `stmixer data check`: everything in a data set that would cause trouble later, in one report. */
import { existsSync } from 'node:fs';
import type { Config } from '../../config/index.js';
import { annotationPath, type Split } from '../../data/data_config.js';
import { requireDataFolders } from '../../data/data_folders.js';
import type { Annotations } from '../../data/datasets/ava_annotations.js';
import { AvaDataset, filesListedTwice, findUnknownVideos } from '../../data/datasets/ava_dataset.js';
import { AVA_CLASSES, isAvaLabelMap } from '../../data/datasets/ava_label_map.js';
import type { FrameLists } from '../../data/datasets/frame_lists.js';
import { type ActionLabel, readLabelMapFile } from '../../data/datasets/label_map.js';
import { leftOutSentence } from '../../data/datasets/missing_data.js';
import { DataError } from '../../errors.js';
import { readExclusions } from '../../evaluation/ava_csv.js';
import { groundTruthFiles, groundTruthSide, readGroundTruth } from '../../evaluation/evaluate_files.js';
import { exclusionNote, exclusionSentence } from '../../evaluation/mismatch/exclusions.js';
import { labelNameSentence, sameFileSentence } from '../../evaluation/mismatch/repeats.js';
import type { ProgressReporter } from '../../util/log.js';
import { countOf } from '../../util/text.js';
import { checkAnnotationFiles, checkKeyFrames } from './check_annotations.js';
import { checkFrameFiles, checkFrameLists, checkPrepared } from './check_frames.js';
import { checkImages, planSample } from './check_images.js';
import { bySeverity, type Finding, type FindingKind, Findings } from './findings.js';
import { type SplitData, suggestSettings } from './suggested_settings.js';

export interface SplitNumbers {
  readonly videos: number;
  readonly frames: number;
  readonly keyFrames: number;
  readonly boxes: number;
  /** Pairs of a box and an action. */
  readonly labels: number;
}

/** Numbers of boxes of one action; the name is null if the label map lacks it. */
export interface ClassNumbers {
  readonly id: number;
  readonly name: string | null;
  readonly train: number;
  readonly test: number;
}

export interface CheckReport {
  readonly splits: Readonly<Record<Split, SplitNumbers>>;
  /** Classes of the label map, and other classes of the annotations. */
  readonly classes: readonly ClassNumbers[];
  /** Findings by severity, errors first. */
  readonly findings: readonly Finding[];
  /** The configuration with settings that fit the data; null if there is nothing to train on. */
  readonly settings: Config | null;
}

export interface CheckOptions {
  /** Whether to decode every frame that clips use instead of a sample. */
  readonly deep?: boolean;
  readonly report?: ProgressReporter;
}

/** Whether training or its evaluation would end with a DataError. */
export function hasErrors({ findings }: CheckReport): boolean {
  return findings.some(({ severity }) => severity === 'error');
}

/** Checks both splits of a data set. Throws DataError if its folders are missing, apart from that of the frames. */
export async function checkData(cfg: Config, options: CheckOptions = {}): Promise<CheckReport> {
  requireDataFolders(cfg, { frames: false });
  const common = new Findings(null);
  const labelMap = checkLabelMap(cfg, common);
  checkExclusions(cfg, common);
  const train = await new SplitCheck(cfg, 'train', labelMap, options).run();
  const test = await new SplitCheck(cfg, 'test', labelMap, options).run();
  if (labelMap) {
    const maxId = Math.max(train.data.times.maxId, test.data.times.maxId);
    checkNumberOfClasses(cfg, labelMap, maxId, common);
  }
  checkGroundTruth(cfg, test.findings);
  for (const name of train.annotated) {
    if (test.annotated.has(name)) common.add('overlap', `video ${name}`);
  }
  return {
    splits: { train: train.numbers, test: test.numbers },
    classes: checkClasses(labelMap, train, test),
    findings: bySeverity([...common.all, ...train.findings.all, ...test.findings.all]),
    settings: suggestSettings(cfg, { train: train.data, test: test.data }, labelMap),
  };
}

function checkLabelMap(cfg: Config, findings: Findings): ActionLabel[] | null {
  const path = annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE);
  const read = attempt(
    () => readLabelMapFile(path),
    (message) => findings.add('label-map', message),
  );
  if (!read) return null;
  const { labels, note } = read;
  if (note !== null) findings.add('counted-labels', note);
  const classes = cfg.MODEL.STM.ACTION_CLASSES;
  const sameName = labelNameSentence(labels);
  if (sameName !== null) findings.add('same-name', sameName);
  for (const { id, name } of labels) {
    if (id > classes) findings.add('map-beyond-classes', `${id} ${name}, of ${classes}`);
  }
  return labels;
}

/** Reports classes of the model that the data do not have. AVA's classes without evaluation are correct. */
function checkNumberOfClasses(
  cfg: Config,
  labels: readonly ActionLabel[],
  maxId: number,
  findings: Findings,
): void {
  const classes = cfg.MODEL.STM.ACTION_CLASSES;
  const highest = Math.max(maxId, ...labels.map(({ id }) => id));
  const numbers = `MODEL.STM.ACTION_CLASSES is ${classes}, but the label map has ${countOf(labels.length, 'class', 'classes')}`;
  if (classes === AVA_CLASSES && isAvaLabelMap(labels)) {
    if (labels.length < classes) findings.add('more-classes', numbers);
  } else if (classes > highest) {
    findings.add('unused-classes', numbers);
    findings.advise('unused-classes', `set MODEL.STM.ACTION_CLASSES ${highest}, the highest action id`);
  }
}

function checkExclusions(cfg: Config, findings: Findings): void {
  if (cfg.AVA.EXCLUSION_FILE === '') return;
  const path = annotationPath(cfg, cfg.AVA.EXCLUSION_FILE);
  const keys = attempt(
    () => readExclusions(path),
    (message) => findings.add('exclusions', message),
  );
  if (keys?.size === 0) findings.add('no-exclusions', path);
}

/** Adds the evaluation's warnings about its files and exclusions. Files that cannot be read were reported before. */
function checkGroundTruth(cfg: Config, findings: Findings): void {
  const groundTruth = attempt(
    () => readGroundTruth(groundTruthFiles(cfg)),
    () => {},
  );
  if (!groundTruth) return;
  const side = groundTruthSide(groundTruth);
  const add = (kind: FindingKind, sentence: string | null) => {
    if (sentence !== null) findings.add(kind, sentence);
  };
  add('same-file', sameFileSentence(side, null));
  add('idle-exclusions', exclusionSentence([side], groundTruth.excluded));
  add('excluded', exclusionNote([side], groundTruth.excluded));
}

/** The result of `read`, or null after reporting its DataError. */
function attempt<T>(read: () => T, report: (message: string) => void): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    report(error.message);
    return null;
  }
}

interface SplitResult {
  readonly findings: Findings;
  readonly numbers: SplitNumbers;
  /** Names of annotated videos. */
  readonly annotated: ReadonlySet<string>;
  /** Action id → number of its boxes. */
  readonly labels: ReadonlyMap<number, number>;
  readonly data: SplitData;
}

/** The check of one split. */
class SplitCheck {
  readonly #findings: Findings;

  constructor(
    private readonly cfg: Config,
    private readonly split: Split,
    private readonly labelMap: readonly ActionLabel[] | null,
    private readonly options: CheckOptions,
  ) {
    // The loader skips such clips with ON_ERROR skip, so training does not fail.
    const isTolerant = cfg.DATALOADER.ON_ERROR === 'skip';
    this.#findings = new Findings(split, isTolerant ? ['broken-picture', 'mixed-clip'] : []);
  }

  async run(): Promise<SplitResult> {
    const { cfg, split } = this;
    const findings = this.#findings;
    for (const sentence of filesListedTwice(cfg, split)) findings.add('same-file', sentence);
    this.#progress(0, null, 'reading frame lists');
    const lists = checkFrameLists(cfg, split, findings);
    this.#progress(0, null, 'reading annotations');
    const known = this.labelMap && new Set(this.labelMap.map(({ id }) => id));
    const { annotations, times } = checkAnnotationFiles(cfg, split, known, findings);
    const dataset = this.#assemble(lists, annotations);
    if (annotations.videos.size > 0) checkKeyFrames(cfg, dataset, annotations, findings);
    const numbers = countAll(dataset);
    if (numbers.frames > 0) await this.#checkFrames(dataset, numbers.frames);
    return {
      findings,
      numbers,
      annotated: new Set(annotations.videos.keys()),
      labels: countLabels(dataset),
      data: { lists, annotations, dataset, times },
    };
  }

  /** Combines lists and annotations; with DATA.MISSING skip, without what is missing. */
  #assemble(lists: FrameLists, annotations: Annotations): AvaDataset {
    const { cfg, split } = this;
    const findings = this.#findings;
    const whole = AvaDataset.assemble(cfg, split, lists, annotations);
    // Without frame lists, report the missing lists only, not every video.
    if (lists.videos.length === 0) return whole;
    if (cfg.DATA.MISSING === 'stop') {
      findUnknownVideos(lists, annotations, findings.sink());
      return whole;
    }
    const present = whole.present(cfg, { lists, annotations }, findings.sink());
    if (present.leftOut !== null) findings.add('left-out', leftOutSentence(present.leftOut, split));
    return present;
  }

  async #checkFrames(dataset: AvaDataset, numFrames: number): Promise<void> {
    const findings = this.#findings;
    const looking = 'looking for the frames';
    this.#progress(0, numFrames, looking);
    if (this.cfg.DATA.MISSING === 'stop') dataset.findMissingFrames(findings.sink());
    if (!existsSync(dataset.frameFolder)) return;
    checkPrepared(dataset, findings);
    let found = 0;
    const flags = checkFrameFiles(dataset, findings, (frames) => {
      found += frames;
      this.#progress(found, numFrames, looking);
    });
    const sample = planSample(flags, { deep: this.options.deep ?? false });
    let decoded = 0;
    const onImage = () => this.#progress(++decoded, sample.size, 'decoding frames');
    await checkImages(dataset, flags, sample, { findings, onImage });
  }

  #progress(done: number, total: number | null, what: string): void {
    this.options.report?.progress(done, total, `${this.split}: ${what}`);
  }
}

function countAll(dataset: AvaDataset): SplitNumbers {
  return {
    videos: dataset.videos.length,
    frames: dataset.videos.reduce((sum, video) => sum + video.frames.length, 0),
    keyFrames: dataset.length,
    boxes: dataset.numBoxes,
    labels: [...countLabels(dataset).values()].reduce((sum, count) => sum + count, 0),
  };
}

function countLabels(dataset: AvaDataset): Map<number, number> {
  const labels = new Map<number, number>();
  for (const { boxes } of dataset.keyFrames) {
    for (const box of boxes) for (const id of box.labels) labels.set(id, (labels.get(id) ?? 0) + 1);
  }
  return labels;
}

function checkClasses(
  labelMap: readonly ActionLabel[] | null,
  train: SplitResult,
  test: SplitResult,
): ClassNumbers[] {
  const names = new Map(labelMap?.map(({ id, name }) => [id, name]));
  for (const [id, name] of names) {
    if (train.labels.size > 0 && !train.labels.has(id))
      train.findings.add('untrained-class', `${id} ${name}`);
    if (test.labels.size > 0 && !test.labels.has(id)) test.findings.add('untested-class', `${id} ${name}`);
  }
  const ids = new Set([...names.keys(), ...train.labels.keys(), ...test.labels.keys()]);
  return [...ids]
    .sort((a, b) => a - b)
    .map((id) => ({
      id,
      name: names.get(id) ?? null,
      train: train.labels.get(id) ?? 0,
      test: test.labels.get(id) ?? 0,
    }));
}
