/** @file The order of frames by their file names, and problems of the numbers in the names. */
import { extname } from 'node:path';
import { count, countOf, significant } from '../util/text.js';

interface Remarks {
  /** Sentences about facts. */
  readonly notes: readonly string[];
  /** Sentences about possible problems. */
  readonly warnings: readonly string[];
}

export interface OrderedFrames extends Remarks {
  readonly names: readonly string[];
}

/** File names that differ in one number only. */
interface Series {
  /** The common name, with # in place of the number. */
  readonly pattern: string;
  readonly frames: { readonly name: string; readonly number: number }[];
}

/**
 * Sorts files by name, numbers by value: frame_2 comes before frame_10. Files that differ only in their extension are one frame;
 * one of the files is used. `fps` is the rate of the frames.
 */
export function orderFrames(files: readonly string[], fps: number): OrderedFrames {
  const { compare } = new Intl.Collator('en', { numeric: true });
  const sorted = [...files].sort((a, b) => compare(a, b) || (a < b ? -1 : 1));
  const [names, twice] = oneFilePerFrame(sorted);
  if (names.length < 2) return { names, notes: [], warnings: twice };
  const unnumbered = names.filter((name) => !/\d/.test(stemOf(name)));
  const series = findSeries(names.filter((name) => /\d/.test(stemOf(name))));
  const warnings = [...twice, ...aboutUnnumbered(unnumbered, names.length)];
  if (series.length > 1) warnings.push(aboutSeries(series));
  for (const one of series) warnings.push(...aboutRepeated(one));
  if (series.length !== 1) return { names, notes: [], warnings };
  const { notes, warnings: more } = aboutSteps(series[0], fps);
  return { names, notes, warnings: [...warnings, ...more] };
}

function stemOf(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}

/** One file of each frame; of several files, the one with the most common extension. */
function oneFilePerFrame(sorted: readonly string[]): [names: string[], warnings: string[]] {
  const extensions = new Map<string, number>();
  const byStem = new Map<string, string[]>();
  for (const name of sorted) {
    extensions.set(extname(name), (extensions.get(extname(name)) ?? 0) + 1);
    const stem = stemOf(name);
    addTo(byStem, stem, name);
  }
  const repeated = [...byStem.values()].filter((names) => names.length > 1);
  const number = (name: string) => extensions.get(extname(name))!;
  const names = [...byStem.values()].map((same) => same.reduce((a, b) => (number(b) > number(a) ? b : a)));
  if (repeated.length === 0) return [names, []];
  const [first] = repeated;
  const kept = names.find((name) => first.includes(name))!;
  return [
    names,
    [
      `${countOf(repeated.length, 'frame has', 'frames have')} several files with different extensions (first: ` +
        `${first.join(', ')}); one file of each is used (${kept})`,
    ],
  ];
}

function addTo<T>(groups: Map<string, T[]>, key: string, item: T): void {
  const group = groups.get(key);
  if (group) group.push(item);
  else groups.set(key, [item]);
}

/** Groups names that differ in one number only. */
function findSeries(names: readonly string[]): Series[] {
  const shapes = new Map<string, { name: string; parts: string[] }[]>();
  for (const name of names) {
    const parts = stemOf(name).split(/(\d+)/);
    const shape = parts.map((part, i) => (i % 2 === 1 ? '#' : part)).join('');
    addTo(shapes, shape, { name, parts });
  }
  const series = new Map<string, Series>();
  for (const group of shapes.values()) {
    const column = countingColumn(group.map(({ parts }) => parts));
    for (const { name, parts } of group) {
      const pattern = parts.map((part, i) => (i === column ? '#' : part)).join('');
      const one = series.get(pattern) ?? { pattern, frames: [] };
      one.frames.push({ name, number: Number(parts[column]) });
      series.set(pattern, one);
    }
  }
  return [...series.values()];
}

/** The number with the most values; the last one if there are several. */
function countingColumn(names: readonly (readonly string[])[]): number {
  let best = { column: 1, values: 0 };
  for (let column = 1; column < names[0].length; column += 2) {
    const values = new Set(names.map((parts) => parts[column])).size;
    if (values >= best.values) best = { column, values };
  }
  return best.column;
}

function aboutUnnumbered(names: readonly string[], total: number): string[] {
  if (names.length === 0) return [];
  if (names.length === total) {
    return ['the names of the frames have no numbers: the frames are used in alphabetical order'];
  }
  return [
    `${countOf(names.length, 'image has', 'images have')} no number in the name (first: ${names[0]}); move files that ` +
      'are not frames out of the folder',
  ];
}

const SHOWN = 3;

function aboutSeries(series: readonly Series[]): string {
  const shown = series
    .slice(0, SHOWN)
    .map(({ pattern, frames }) => `${pattern}: ${count(frames.length)}`)
    .join(', ');
  const more = series.length > SHOWN ? `, and ${count(series.length - SHOWN)} more` : '';
  return (
    `the names form ${count(series.length)} numbered series (${shown}${more}), which are used one after the other as ` +
    'one video; give each video its own folder'
  );
}

function aboutRepeated({ frames }: Series): string[] {
  const first = new Map<number, string>();
  const repeated: string[] = [];
  for (const { name, number } of frames) {
    const other = first.get(number);
    if (other === undefined) first.set(number, name);
    else repeated.push(`${other}, ${name}`);
  }
  if (repeated.length === 0) return [];
  return [
    `${countOf(repeated.length, 'number occurs', 'numbers occur')} twice (first: ${repeated[0]}); both files are used as ` +
      'frames. Move one of them out of the folder',
  ];
}

interface Step {
  readonly from: string;
  readonly to: string;
  readonly size: number;
}

function aboutSteps({ frames }: Series, fps: number): Remarks {
  const sorted = [...frames].sort((a, b) => a.number - b.number);
  const steps: Step[] = [];
  for (let i = 1; i < sorted.length; i++) {
    const [from, to] = [sorted[i - 1], sorted[i]];
    if (to.number > from.number) steps.push({ from: from.name, to: to.name, size: to.number - from.number });
  }
  if (steps.length === 0) return { notes: [], warnings: [] };
  const [usual, share] = usualStep(steps);
  if (share < 0.5 || steps.some(({ size }) => size % usual !== 0)) {
    const warning =
      `the numbers of the frames increase unevenly (e.g. ${steps[0].from}, ${steps[0].to}): ${CONSECUTIVE}, at AVA.FPS ` +
      `(${fps}), so their seconds are correct only if the frames are evenly spaced in time`;
    return { notes: [], warnings: [warning] };
  }
  const gaps = steps.filter(({ size }) => size > usual);
  const stride = usual > 1 ? aboutStride(steps[0], usual, fps) : null;
  return {
    notes: stride?.notes ?? [],
    warnings: [...(stride?.warnings ?? []), ...aboutGaps(gaps, usual, fps)],
  };
}

const CONSECUTIVE = 'the frames are used as consecutive ones';

/** The most common step between neighbours, and the fraction of pairs that have it. */
function usualStep(steps: readonly Step[]): [step: number, share: number] {
  // If there are only two frames, the numbers between them are probably missing.
  if (steps.length === 1) return [1, 1];
  const times = new Map<number, number>();
  for (const { size } of steps) times.set(size, (times.get(size) ?? 0) + 1);
  const [step, number] = [...times].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a));
  return [step, number / steps.length];
}

/** Common rates of videos. */
const COMMON_RATES = [30, 25, 24];

function aboutStride({ from, to }: Step, step: number, fps: number): Remarks {
  const found = `the numbers of the frames increase in steps of ${step} (${from}, ${to})`;
  if (COMMON_RATES.includes(fps * step)) {
    const note = `${found}; AVA.FPS ${fps} is correct for one in ${step} frames of a video with ${fps * step} frames per second`;
    return { notes: [note], warnings: [] };
  }
  const video = COMMON_RATES.find((rate) => rate % step === 0);
  const example = video === undefined ? '' : `, e.g. AVA.FPS ${video / step} for ${video} frames per second`;
  const warning =
    `${found}: ${CONSECUTIVE}, 1/${fps} s apart (AVA.FPS ${fps}). If only one in ${step} frames of a video was kept, AVA.FPS ` +
    `must be 1/${step} of its rate${example}`;
  return { notes: [], warnings: [warning] };
}

function aboutGaps(gaps: readonly Step[], usual: number, fps: number): string[] {
  if (gaps.length === 0) return [];
  const missing = gaps.reduce((sum, { size }) => sum + size / usual - 1, 0);
  const [{ from, to }] = gaps;
  return [
    `${countOf(missing, 'number is', 'numbers are')} missing among the frames (${gaps.length > 1 ? 'first gap' : 'gap'}: ` +
      `${from}, ${to}): ${CONSECUTIVE}, so seconds after a gap are too early, by ${significant(missing / fps, 3)} s at the ` +
      'end. If these frames should exist, extract the frames again',
  ];
}
