/** @file A list of excluded key frames that leaves nothing out, or nearly everything. */
import type { RowSummary } from '../row_summary.js';
import { type Comparison, listNames, rangeText, type Side, share, shareOf } from './comparison.js';
import { respell } from './names.js';

/** Says where the list has no effect although it should have one, or leaves out most of a side; null where it is right. */
export function exclusionSentence(sides: readonly Side[], excluded: Comparison['excluded']): string | null {
  if (excluded.size === 0) return null;
  const keys = [...excluded].map(splitKey);
  const taken = sides.flatMap(({ name, summary }) => {
    const total = countKeyFrames(summary);
    const out = keys.filter(({ video, second }) => summary.videos.get(video)?.seconds.has(second)).length;
    return 2 * out > total ? [`${share(out, total)} key frames of the ${name}`] : [];
  });
  if (taken.length > 0) return `the list of exclusions takes out ${taken.join(' and ')}`;
  if (sides.some(({ summary }) => keys.some((key) => isPlausible(key, summary)))) return null;
  const names = [...new Set(keys.map(({ video }) => video))];
  const list = `it has ${listNames(names)} at ${secondsOf(keys)}`;
  const files = sides.map(
    ({ name, summary }) =>
      `the ${name} ${listNames(summary.videos.keys())} at ${secondsOf(keyFrames(summary))}`,
  );
  const facts = `the list of exclusions has no effect, as none of its key frames is in the files: ${list}, ${files.join(', ')}`;
  return facts + spellingAdvice(names, sides);
}

/** Says how the videos of the list would have to be spelled. */
function spellingAdvice(names: readonly string[], sides: readonly Side[]): string {
  const videos = [...new Set(sides.flatMap(({ summary }) => [...summary.videos.keys()]))];
  if (names.some((name) => videos.includes(name))) return '';
  const respelling = respell(names, videos);
  if (!respelling) return '';
  return `; ${respelling.how} ${shareOf(respelling.pairs.size, names.length, 'name')} of the list would fit`;
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
  for (const [video, { seconds }] of videos) for (const second of seconds.keys()) yield { video, second };
}

function countKeyFrames({ videos }: RowSummary): number {
  let total = 0;
  for (const { seconds } of videos.values()) total += seconds.size;
  return total;
}

/** Whether an excluded key frame lies among those of its video: AVA excludes some that nobody is labelled at. */
function isPlausible({ video, second }: KeyFrame, { videos }: RowSummary): boolean {
  const seconds = videos.get(video)?.seconds;
  if (!seconds) return false;
  if (seconds.has(second)) return true;
  let [before, after] = [false, false];
  for (const other of seconds.keys()) {
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
