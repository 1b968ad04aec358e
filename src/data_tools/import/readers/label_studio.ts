/** @file Annotations of Label Studio: the json of videos with boxes in key frames (VideoRectangle), and its short form JSON-MIN. */
import { stemOf, videoNameOf } from '../image_names.js';
import { type Imported, type ImportedVideo, nothingImported } from '../model.js';
import { arrayOr, numberOrNone, objectOr, textOrNull } from '../read_file.js';
import { LabelStudioRegions, type Result } from './label_studio_regions.js';

type Fields = Record<string, unknown>;

/** Whether a value is a list of Label Studio's tasks, or one task. */
export function isLabelStudio(value: unknown): boolean {
  return tasksIn(value).some((task) => isTask(task) || minimalResults(task).length > 0);
}

function tasksIn(value: unknown): Fields[] {
  return (Array.isArray(value) ? value : [value]).map(objectOr);
}

function isTask(task: Fields): boolean {
  return 'data' in task && ['annotations', 'completions', 'predictions'].some((key) => key in task);
}

/** The regions of a task in JSON-MIN, which has them in fields named after the tags. */
function minimalResults(task: Fields): Result[] {
  return Object.entries(task).flatMap(([name, list]) =>
    arrayOr(list).flatMap((value, i) =>
      Array.isArray(objectOr(value).sequence)
        ? [{ id: `${name} ${i}`, type: 'videorectangle', from_name: name, value: objectOr(value) }]
        : [],
    ),
  );
}

export function readLabelStudio(path: string, value: unknown): Imported {
  const imported = nothingImported();
  const videos = new Map<string, ImportedVideo>();
  tasksIn(value).forEach((task, i) => {
    const where = `${path}: task ${textOrNull(task.id) ?? i + 1}`;
    const results = isTask(task) ? resultsOf(imported, task, where) : minimalResults(task);
    const video = videoOf(task, results);
    const known = videos.get(video.name) ?? video;
    const before = imported.tracks.length;
    new LabelStudioRegions(imported, known, where).read(results);
    if (imported.tracks.length > before || results.some(({ type }) => type === 'videorectangle'))
      videos.set(known.name, known);
  });
  imported.videos.push(...videos.values());
  return imported;
}

/** The results of the annotation that counts: the ground truth if one is marked, otherwise the last one that was submitted. */
function resultsOf({ losses }: Imported, task: Fields, where: string): Result[] {
  const all = arrayOr(task.annotations ?? task.completions).map(objectOr);
  const submitted = all.filter(({ was_cancelled }) => was_cancelled !== true);
  for (let i = submitted.length; i < all.length; i++) losses.add('left', where, 'cancelled annotation');
  if (submitted.length === 0) {
    for (const _ of arrayOr(task.predictions))
      losses.add('left', where, 'prediction that was not submitted', 'predictions that were not submitted');
    return [];
  }
  const chosen =
    submitted.find(({ ground_truth }) => ground_truth === true) ?? submitted[submitted.length - 1];
  for (let i = 1; i < submitted.length; i++)
    losses.add('left', where, 'further annotation of the same task', 'further annotations of the same task');
  return arrayOr(chosen.result).map((raw) => objectOr(raw) as unknown as Result);
}

function videoOf(task: Fields, results: readonly Result[]): ImportedVideo {
  const data = isTask(task) ? objectOr(task.data) : task;
  const texts = Object.entries(data).flatMap(([key, value]) =>
    typeof value === 'string' ? [{ key, value }] : [],
  );
  const source =
    texts.find(({ value }) => /\.(mp4|webm|mov|avi|mkv|m4v|ogv|mpe?g)([?#].*)?$/i.test(value))?.value ??
    texts.find(({ key }) => /video|url/i.test(key))?.value ??
    textOrNull(task.file_upload) ??
    `task_${task.id ?? 1}.mp4`;
  const value = objectOr(results.find(({ type }) => type === 'videorectangle')?.value);
  const frames = numberOrNone(value.framesCount);
  const duration = numberOrNone(value.duration);
  return {
    // Uploads get eight hexadecimal digits before their name.
    name: videoNameOf(stemOf(source).replace(/^[0-9a-f]{8}-/, '')),
    isNamed: true,
    source,
    isVideo: true,
    clock: 'frames',
    units: 'fractions',
    size: null,
    fps:
      frames !== null && duration !== null && frames > 1 && duration > 0
        ? commonRate(frames / duration)
        : null,
    firstFrame: 1,
    isFirstSure: true,
    lastFrame: frames,
    image: null,
  };
}

const COMMON_RATES = [24_000 / 1001, 24, 25, 30_000 / 1001, 30, 50, 60_000 / 1001, 60];
/** Fraction by which the length of a video in Label Studio may be wrong, because of its sound. */
const TOLERANCE = 0.005;

/** A common rate if it is near: lengths are rounded. */
function commonRate(rate: number): number {
  const nearest = COMMON_RATES.reduce((a, b) => (Math.abs(b - rate) < Math.abs(a - rate) ? b : a));
  return Math.abs(nearest - rate) <= TOLERANCE * rate ? nearest : rate;
}
