/** @file Saved batches, OUTPUT_DIR/nonfinite_<iteration>.pth: a batch with everything that is needed to repeat its step. */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ClipInfo } from '../../data/clip/clip.js';
import type { Batch } from '../../data/loading/collate.js';
import { CheckpointError } from '../../errors.js';
import { float32Tensor, isHostTensor, toFloat32 } from '../../formats/host_tensor.js';
import { readPth } from '../../formats/pth/pth_reader.js';
import { writePth } from '../../formats/pth/pth_writer.js';
import { type PyDict, PyFloat, type PyValue } from '../../formats/python/values.js';
import { isSavedBatch, savedBatchName } from '../../run/run_folder.js';

/** Number of saved batches that are kept in a folder, newest first. */
const MAX_FILES = 3;

/** A batch and its step. */
export interface SavedBatch {
  readonly batch: Batch;
  readonly iteration: number;
  readonly seed: number;
  /** Clips that were computed together. */
  readonly microBatchSize: number;
  /** Index of the first clip of the micro-batch that failed. */
  readonly first: number;
  /** Loss terms of those clips. */
  readonly terms: ReadonlyMap<string, number>;
  /** Parameters whose gradients were not finite. */
  readonly parameters: readonly string[];
}

/**
 * Writes the batch into a folder and removes all but the newest files of this kind there. Returns its path. Throws
 * CheckpointError if the disk refuses.
 */
export async function saveBatch(folder: string, saved: SavedBatch): Promise<string> {
  const { batch, iteration, seed, microBatchSize, first, terms, parameters } = saved;
  const name = savedBatchName(iteration);
  const rows = (arrays: readonly Float32Array[], width: number) =>
    arrays.map((array) => float32Tensor([array.length / width, width], array));
  const classes = Math.max(
    1,
    ...batch.labels.map((labels, b) => labels.length / (batch.boxes[b].length / 4) || 0),
  );
  const path = join(folder, name);
  await writePth(path, {
    video: float32Tensor(batch.shape, batch.video),
    whwh: float32Tensor([batch.shape[0], 4], batch.whwh),
    boxes: rows(batch.boxes, 4),
    labels: rows(batch.labels, classes),
    clips: batch.clips.map(({ clipId, videoIndex, videoName, second }) => ({
      clip_id: clipId,
      video_index: videoIndex,
      video_name: videoName,
      second,
    })),
    iteration,
    seed,
    clips_at_once: microBatchSize,
    first_clip: first,
    terms: new Map(Array.from(terms, ([term, value]) => [term, new PyFloat(value)])),
    parameters,
    ...(batch.whole && {
      whole_batch: { box_counts: [...batch.whole.boxCounts], places: [...batch.whole.places] },
    }),
  });
  removeOlder(folder, name);
  return path;
}

function removeOlder(folder: string, newest: string): void {
  const others = readdirSync(folder)
    .filter((name) => isSavedBatch(name) && name !== newest)
    .map((name) => join(folder, name))
    .map((path) => ({ path, written: statSync(path).mtimeMs }))
    .sort((a, b) => b.written - a.written);
  for (const { path } of others.slice(MAX_FILES - 1)) rmSync(path, { force: true });
}

/** Reads a file of `saveBatch`. Throws CheckpointError where it is none. */
export function readBatch(path: string): SavedBatch {
  const content = readPth(path);
  const get = (key: string): PyValue => {
    const value = content instanceof Map ? content.get(key) : undefined;
    if (value === undefined) return refuse(path, `it has no "${key}"`);
    return value;
  };
  const number = (key: string): number => {
    const value = get(key);
    return typeof value === 'number' ? value : refuse(path, `"${key}" is not a number`);
  };
  const list = (key: string): readonly PyValue[] => {
    const value = get(key);
    return Array.isArray(value) ? value : refuse(path, `"${key}" is not a list`);
  };
  const floats = (value: PyValue, key: string) =>
    isHostTensor(value)
      ? { shape: value.shape, data: toFloat32(value) }
      : refuse(path, `"${key}" is no tensor`);

  const video = floats(get('video'), 'video');
  if (video.shape.length !== 5) return refuse(path, `"video" has the shape [${video.shape}]`);
  const terms = get('terms');
  if (!(terms instanceof Map)) return refuse(path, '"terms" is not a dict');
  const batch: Batch = {
    video: video.data,
    shape: video.shape as unknown as Batch['shape'],
    whwh: floats(get('whwh'), 'whwh').data,
    boxes: list('boxes').map((value) => floats(value, 'boxes').data),
    labels: list('labels').map((value) => floats(value, 'labels').data),
    clips: list('clips').map((value) => clipInfo(value, path)),
    ...wholeBatch(content, path),
  };
  if (batch.boxes.length !== batch.shape[0] || batch.labels.length !== batch.shape[0])
    return refuse(path, 'its boxes are not those of its clips');
  return {
    batch,
    iteration: number('iteration'),
    seed: number('seed'),
    microBatchSize: number('clips_at_once'),
    first: number('first_clip'),
    terms: terms as ReadonlyMap<PyValue, PyValue> as ReadonlyMap<string, number>,
    parameters: list('parameters').map(String),
  };
}

/** The batch that this one is a part of. Only files of several processes have one. */
function wholeBatch(content: PyValue, path: string): Pick<Batch, 'whole'> {
  const whole = content instanceof Map ? content.get('whole_batch') : undefined;
  if (whole === undefined) return {};
  const numbers = (key: string) => {
    const list = whole instanceof Map ? whole.get(key) : undefined;
    return Array.isArray(list) ? list.map(Number) : refuse(path, `"whole_batch" has no list "${key}"`);
  };
  return { whole: { boxCounts: Int32Array.from(numbers('box_counts')), places: numbers('places') } };
}

function clipInfo(value: PyValue, path: string): ClipInfo {
  if (!(value instanceof Map)) return refuse(path, '"clips" is not a list of dicts');
  const clip: PyDict = value;
  return {
    clipId: Number(clip.get('clip_id')),
    videoIndex: Number(clip.get('video_index')),
    videoName: String(clip.get('video_name')),
    second: Number(clip.get('second')),
  };
}

function refuse(path: string, why: string): never {
  throw new CheckpointError(
    `${path}: is not a batch that a training run saved: ${why}; --replay takes OUTPUT_DIR/nonfinite_<iteration>.pth`,
  );
}
