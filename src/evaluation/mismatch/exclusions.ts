/** @file Lists of excluded key frames that leave out nothing, or nearly everything. */
import { quote } from '../../data/problems.js';
import { AVA_FIRST_SECOND, isSameTime, readableTime, timeSet } from '../../data/time.js';
import { countOf } from '../../util/text.js';
import type { RowSummary } from '../row_summary.js';
import { type Comparison, listNames, rangeText, type Side, share, shareOf } from './comparison.js';
import { bestOffsets } from './offset.js';
import { type Respelling, respell } from './video_names.js';

/** Warns about a list that has no effect or leaves out most of a side; null if it is correct. */
export function exclusionSentence(sides: readonly Side[], excluded: Comparison['excluded']): string | null {
  if (excluded.size === 0) return null;
  const keys = [...excluded].map(splitKey);
  const taken = sides.flatMap((side) => {
    const { out, total } = countTaken(side, keys);
    return 2 * out > total ? [`${share(out, total)} key frames of the ${side.name}`] : [];
  });
  if (taken.length > 0) {
    return `the list of exclusions removes ${taken.join(' and ')}: it must name the key frames to leave out, not those to keep`;
  }
  if (sides.some(({ summary }) => keys.some((key) => isPlausible(key, summary))))
    return misspelled(keys, sides);
  const names = namesOf(keys);
  const list = `it has ${listNames(names)} at ${secondsOf(keys)}`;
  const files = sides.map(
    ({ name, summary }) =>
      `the ${name} ${listNames(summary.videos.keys())} at ${secondsOf(keyFrames(summary))}`,
  );
  const facts = `the list of exclusions has no effect, because none of its key frames is in the files: ${list}, ${files.join(', ')}`;
  return facts + adviceFor(keys, sides);
}

/** Counts the key frames that a correct list leaves out; null without one. */
export function exclusionNote(sides: readonly Side[], excluded: Comparison['excluded']): string | null {
  if (excluded.size === 0 || exclusionSentence(sides, excluded) !== null) return null;
  const keys = [...excluded].map(splitKey);
  const counts = sides.map((side) => {
    const { out, total, first } = countTaken(side, keys);
    const example = first ? ` (first: ${quote(first.video)} at ${readableTime(first.second)})` : '';
    return `${share(out, total)} of the ${side.name}${example}`;
  });
  return `the list of exclusions has ${countOf(keys.length, 'key frame')} and leaves out ${counts.join(' and ')}`;
}

/** Number of key frames that the list removes from a side, and the first of them. */
function countTaken(
  { summary }: Side,
  keys: readonly KeyFrame[],
): { out: number; total: number; first: KeyFrame | null } {
  const listed = new Set(keys.map(({ video }) => video));
  const times = new Map(
    [...listed].map((video) => [video, timeSet(summary.videos.get(video)?.seconds ?? [])]),
  );
  const taken = keys.filter(({ video, second }) => times.get(video)!.has(second));
  return { out: taken.length, total: countKeyFrames(summary), first: taken[0] ?? null };
}

function namesOf(keys: readonly KeyFrame[]): string[] {
  return [...new Set(keys.map(({ video }) => video))];
}

function videosOf(sides: readonly Side[]): string[] {
  return [...new Set(sides.flatMap(({ summary }) => [...summary.videos.keys()]))];
}

/** Warns about misspelled videos in a list that is correct for other videos. */
function misspelled(keys: readonly KeyFrame[], sides: readonly Side[]): string | null {
  const videos = videosOf(sides);
  const names = namesOf(keys);
  const known = new Set(videos);
  const unknown = names.filter((name) => !known.has(name));
  // Lists of exclusions often cover more than one data set, so only names that differ in spelling are suspicious.
  const respelling = unknown.length > 0 ? respell(unknown, videos) : null;
  if (!respelling) return null;
  return (
    `the list of exclusions has no effect for ${shareOf(unknown.length, names.length, 'video')} ` +
    `(${listNames(unknown)}); ${spellingAdvice(respelling, unknown)}`
  );
}

/** Says how a list without effect could be corrected. */
function adviceFor(keys: readonly KeyFrame[], sides: readonly Side[]): string {
  const videos = videosOf(sides);
  const names = namesOf(keys);
  const respelling = names.some((name) => videos.includes(name)) ? null : respell(names, videos);
  const pairs = new Map(names.map((name) => [name, respelling?.pairs.get(name) ?? name]));
  const offset = offsetOf(keys, sides, pairs);
  const advice = [
    ...(respelling ? [spellingAdvice(respelling, names)] : []),
    ...(offset === 0 ? [] : [`with ${offset} added to its seconds they would fit`]),
  ];
  if (advice.length === 0) advice.push('it seems to belong to another data set');
  return `; ${advice.join('; ')}`;
}

/** Says how the names of videos in the list should be spelled. */
function spellingAdvice({ how, pairs }: Respelling, names: readonly string[]): string {
  return `${how} ${shareOf(pairs.size, names.length, 'name')} of the list would fit`;
}

/** The offset, in seconds, with which most of the list matches key frames of its videos; 0 if there is none. */
function offsetOf(
  keys: readonly KeyFrame[],
  sides: readonly Side[],
  videos: ReadonlyMap<string, string>,
): number {
  const pairs = [...videos].map(([listed, video]) => ({
    predicted: keys.filter((key) => key.video === listed).map(({ second }) => second),
    labelled: timeSet(sides.flatMap(({ summary }) => [...(summary.videos.get(video)?.seconds ?? [])])),
  }));
  const usual = [0, AVA_FIRST_SECOND, -AVA_FIRST_SECOND];
  const offsets = bestOffsets(pairs, usual).filter(({ fits }) => 2 * fits >= keys.length);
  const max = Math.max(...offsets.map(({ fits }) => fits));
  const best = offsets.filter(({ fits }) => fits === max).map(({ seconds }) => seconds);
  // Short lists fit with many offsets, so usual ones come first.
  return usual.find((seconds) => best.includes(seconds)) ?? best[0] ?? 0;
}

interface KeyFrame {
  readonly video: string;
  readonly second: number;
}

function splitKey(key: string): KeyFrame {
  const comma = key.lastIndexOf(',');
  return { video: key.slice(0, comma), second: Number(key.slice(comma + 1)) };
}

function* keyFrames({ videos }: RowSummary): Generator<KeyFrame> {
  for (const [video, { seconds }] of videos) for (const second of seconds) yield { video, second };
}

function countKeyFrames({ videos }: RowSummary): number {
  let total = 0;
  for (const { seconds } of videos.values()) total += seconds.size;
  return total;
}

/** Whether an excluded key frame lies between those of its video: AVA excludes some key frames without annotations. */
function isPlausible({ video, second }: KeyFrame, { videos }: RowSummary): boolean {
  const seconds = videos.get(video)?.seconds;
  if (!seconds) return false;
  let [before, after] = [false, false];
  for (const other of seconds) {
    if (isSameTime(other, second)) return true;
    if (other < second) before = true;
    else after = true;
    if (before && after) return true;
  }
  return false;
}

function secondsOf(keys: Iterable<KeyFrame>): string {
  let [smallest, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { second } of keys) {
    smallest = Math.min(smallest, second);
    largest = Math.max(largest, second);
  }
  return rangeText(smallest, largest);
}
