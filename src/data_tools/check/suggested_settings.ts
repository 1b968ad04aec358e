/** @file The settings that fit a data set, ready to paste into a configuration file. */
import { existsSync } from 'node:fs';
import { type Config, configLines, getValue, setValue } from '../../config/index.js';
import { annotationPath, clipsPerStep } from '../../data/data_config.js';
import { type Annotations, scanAnnotations } from '../../data/datasets/ava_annotations.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { AVA_CLASSES, isAvaLabelMap } from '../../data/datasets/ava_label_map.js';
import type { FrameLists } from '../../data/datasets/frame_lists.js';
import type { ActionLabel } from '../../data/datasets/label_map.js';
import { groupByShape } from '../../data/loading/aspect_ratio_grouping.js';
import { Problems } from '../../data/problems.js';
import { AVA_FIRST_SECOND } from '../../data/time.js';
import { DataError } from '../../errors.js';
import { preparedNumbers } from './check_frames.js';
import { fittingStep } from './check_grid.js';
import { rateOfFrames } from './check_rate.js';
import type { RowTimes } from './row_times.js';

/** What is known about a split. */
export interface SplitData {
  readonly lists: FrameLists;
  readonly annotations: Annotations;
  readonly dataset: AvaDataset;
  readonly times: RowTimes;
}

/** The configuration with the settings that fit the data; null if there is nothing to train on. */
export function suggestSettings(
  cfg: Config,
  { train, test }: { train: SplitData; test: SplitData },
  labelMap: readonly ActionLabel[] | null,
): Config | null {
  const suggested = structuredClone(cfg);
  const set = (key: string, value: unknown) => setValue(suggested, key, value);
  const prepared = preparedNumbers([train.dataset, test.dataset]);
  const counted = train.times.firstSecond;
  // Annotations that count from 900 may do so wherever the frames begin.
  const first = counted === AVA_FIRST_SECOND ? counted : (prepared.start ?? counted);
  set('AVA.FIRST_SECOND', first);
  const last = [train, test].map(({ times, lists }) => times.lastSecond(first, lists));
  set('AVA.LAST_SECOND', Math.max(...last));
  set('AVA.FPS', prepared.fps ?? rateOfFrames(train.dataset) ?? cfg.AVA.FPS);
  const ids = [...(labelMap ?? []).map(({ id }) => id), train.times.maxId, test.times.maxId];
  const maxId = Math.max(0, ...ids);
  const isAva = cfg.MODEL.STM.ACTION_CLASSES === AVA_CLASSES && isAvaLabelMap(labelMap ?? []);
  if (maxId > 0 && !isAva) set('MODEL.STM.ACTION_CLASSES', maxId);
  // Only AVA has a list of excluded key frames.
  if (!existsSync(annotationPath(cfg, cfg.AVA.EXCLUSION_FILE))) set('AVA.EXCLUSION_FILE', '');
  const dataset = datasetWith(suggested, cfg, train);
  if (dataset.length === 0) return null;
  set('AVA.KEY_FRAME_STEP', fittingStep(dataset.keyFrames, cfg.AVA.KEY_FRAME_STEP, dataset.timeBase));
  return setBatches(suggested, dataset) ? suggested : null;
}

/** The training data with other settings; rows are read again only if more of them may count. */
function datasetWith(suggested: Config, cfg: Config, { lists, annotations, dataset }: SplitData): AvaDataset {
  const isSame = (key: (config: Config) => number) => key(suggested) === key(cfg);
  const sameRows =
    isSame(({ AVA }) => AVA.FIRST_SECOND) &&
    isSame(({ AVA }) => AVA.LAST_SECOND) &&
    isSame(({ MODEL }) => MODEL.STM.ACTION_CLASSES);
  if (sameRows && isSame(({ AVA }) => AVA.FPS)) return dataset;
  const from = {
    lists,
    annotations: sameRows ? annotations : scanAnnotations(suggested, 'train', new Problems()),
  };
  const whole = AvaDataset.assemble(suggested, 'train', lists, from.annotations);
  return cfg.DATA.MISSING === 'skip' ? whole.present(suggested, from, new Problems()) : whole;
}

/** Sets batches that the clips can fill, and epochs of one data pass; false if there are no batches. */
function setBatches(suggested: Config, dataset: AvaDataset): boolean {
  const sizes = groupSizes(suggested, dataset);
  const largest = Math.max(...sizes);
  const { SOLVER } = suggested;
  if (clipsPerStep(suggested) > largest) {
    if (SOLVER.ACCUMULATE > largest) SOLVER.ACCUMULATE = 1;
    SOLVER.VIDEOS_PER_BATCH = Math.max(1, Math.floor(largest / SOLVER.ACCUMULATE));
  }
  const batch = clipsPerStep(suggested);
  SOLVER.ITER_PER_EPOCH = sizes.reduce((sum, size) => sum + Math.floor(size / batch), 0);
  return SOLVER.ITER_PER_EPOCH > 0;
}

/** Numbers of clips that may be in one batch. */
function groupSizes(cfg: Config, dataset: AvaDataset): number[] {
  if (!cfg.DATALOADER.ASPECT_RATIO_GROUPING) return [dataset.length];
  try {
    const groups = groupByShape(dataset);
    const tall = groups.reduce((sum, group) => sum + group, 0);
    return [tall, groups.length - tall];
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return [dataset.length];
  }
}

const KEYS = [
  'DATA.PATH_TO_DATA_DIR',
  'AVA.FRAME_DIR',
  'AVA.FRAME_LIST_DIR',
  'AVA.ANNOTATION_DIR',
  'AVA.TRAIN_LISTS',
  'AVA.TEST_LISTS',
  'AVA.TRAIN_GT_BOX_LISTS',
  'AVA.TEST_GT_BOX_LISTS',
  'AVA.LABEL_MAP_FILE',
  'AVA.EXCLUSION_FILE',
  'AVA.FPS',
  'AVA.FIRST_SECOND',
  'AVA.LAST_SECOND',
  'AVA.KEY_FRAME_STEP',
  'MODEL.STM.ACTION_CLASSES',
  'SOLVER.VIDEOS_PER_BATCH',
  'SOLVER.ITER_PER_EPOCH',
];

function keysOf({ DATA, SOLVER }: Config): Set<string> {
  const keys = new Set(KEYS);
  if (DATA.MISSING !== 'stop') keys.add('DATA.MISSING');
  if (SOLVER.ACCUMULATE > 1) keys.add('SOLVER.ACCUMULATE');
  return keys;
}

/** The settings about the data: full path of the key → value. */
export function settingsObject(config: Config): Record<string, unknown> {
  const keys = configLines(config).flatMap(({ key }) =>
    key !== undefined && keysOf(config).has(key) ? [key] : [],
  );
  return Object.fromEntries(keys.map((key) => [key, getValue(config, key)]));
}

/** The lines of a configuration file with the settings about the data. */
export function settingsYaml(config: Config): string[] {
  const keys = keysOf(config);
  const lines: string[] = [];
  /** Sections that contain the current line and are not written yet. */
  let open: { indent: number; text: string }[] = [];
  for (const { text, key } of configLines(config)) {
    const indent = text.search(/\S/);
    open = open.filter((section) => section.indent < indent);
    if (key === undefined) open.push({ indent, text });
    else if (keys.has(key)) lines.push(...open.splice(0).map((section) => section.text), text);
  }
  return lines;
}
