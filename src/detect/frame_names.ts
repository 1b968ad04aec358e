/** @file The order of frames by their file names, and what is odd about the numbers in them. */
import { extname } from 'node:path';
import { count, countOf } from '../util/progress.js';
import { significant } from '../util/text.js';

/** Sentences about what is so, and about what may be wrong. */
interface Remarks {
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

export interface OrderedFrames extends Remarks {
  readonly names: readonly string[];
}

/** File names that differ in one number only. */
interface Series {
  /** The common name, with # for the number. */
  readonly pattern: string;
  readonly frames: { readonly name: string; readonly number: number }[];
}

/**
 * Sorts files by name, numbers by value: frame_2 comes before frame_10. Files that differ in their ending only are one
 * frame, of which one file is taken. `fps` is the rate at which the frames will follow each other.
 */
export function orderFrames(files: readonly string[], fps: number): OrderedFrames {
  const { compare } = new Intl.Collator('en', { numeric: true });
  const sorted = [...files].sort((a, b) => compare(a, b) || (a < b ? -1 : 1));
  const [names, twice] = oneOfEach(sorted);
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

/** One file of each frame: where there are several, the one with the ending that most files have. */
function oneOfEach(sorted: readonly string[]): [names: string[], warnings: string[]] {
  const endings = new Map<string, number>();
  const byStem = new Map<string, string[]>();
  for (const name of sorted) {
    endings.set(extname(name), (endings.get(extname(name)) ?? 0) + 1);
    const stem = stemOf(name);
    addTo(byStem, stem, name);
  }
  const repeated = [...byStem.values()].filter((names) => names.length > 1);
  const number = (name: string) => endings.get(extname(name))!;
  const names = [...byStem.values()].map((same) => same.reduce((a, b) => (number(b) > number(a) ? b : a)));
  if (repeated.length === 0) return [names, []];
  const [first] = repeated;
  const kept = names.find((name) => first.includes(name))!;
  return [
    names,
    [
      `${countOf(repeated.length, 'frame is', 'frames are')} there with different endings (first: ${first.join(', ')}); ` +
        `one file of each is taken (${kept})`,
    ],
  ];
}

function addTo<T>(groups: Map<string, T[]>, key: string, item: T): void {
  const group = groups.get(key);
  if (group) group.push(item);
  else groups.set(key, [item]);
}

/** Puts names together whose parts between the numbers agree and that differ in one of the numbers. */
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

/** The number that takes the most values; the last of several. */
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
    return ['the names of the frames have no numbers: the frames are taken in alphabetical order'];
  }
  return [
    `${countOf(names.length, 'picture has', 'pictures have')} no number in the name (first: ${names[0]}); move what is no ` +
      'frame out of the folder',
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
    `the names make up ${count(series.length)} numbered series (${shown}${more}), which are taken one after the other as ` +
    'one video; give each video a folder of its own'
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
    `${countOf(repeated.length, 'number is', 'numbers are')} there twice (first: ${repeated[0]}); both files are taken as ` +
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
      `the numbers of the frames go up unevenly (e.g. ${steps[0].from}, ${steps[0].to}): ${CONSECUTIVE}, at AVA.FPS ` +
      `(${fps}), so their seconds are right only if they are equally far apart in time`;
    return { notes: [], warnings: [warning] };
  }
  const gaps = steps.filter(({ size }) => size > usual);
  const stride = usual > 1 ? aboutStride(steps[0], usual, fps) : null;
  return {
    notes: stride?.notes ?? [],
    warnings: [...(stride?.warnings ?? []), ...aboutGaps(gaps, usual, fps)],
  };
}

const CONSECUTIVE = 'the frames are taken as consecutive';

/** The step that most pairs of neighbours have, and the share of those pairs. */
function usualStep(steps: readonly Step[]): [step: number, share: number] {
  // Numbers between only two frames are more likely missing than meant to be left out.
  if (steps.length === 1) return [1, 1];
  const times = new Map<number, number>();
  for (const { size } of steps) times.set(size, (times.get(size) ?? 0) + 1);
  const [step, number] = [...times].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a));
  return [step, number / steps.length];
}

/** Rates of most videos. */
const USUAL_RATES = [30, 25, 24];

function aboutStride({ from, to }: Step, step: number, fps: number): Remarks {
  const found = `the numbers of the frames go up in steps of ${step} (${from}, ${to})`;
  if (USUAL_RATES.includes(fps * step)) {
    const note = `${found}; AVA.FPS ${fps} is right for one in ${step} frames of a video of ${fps * step} frames per second`;
    return { notes: [note], warnings: [] };
  }
  const video = USUAL_RATES.find((rate) => rate % step === 0);
  const example = video === undefined ? '' : `, e.g. AVA.FPS ${video / step} for ${video} frames per second`;
  const warning =
    `${found}: ${CONSECUTIVE}, 1/${fps} s apart (AVA.FPS ${fps}). If only one in ${step} frames of a video was kept, AVA.FPS ` +
    `has to be 1/${step} of its rate${example}`;
  return { notes: [], warnings: [warning] };
}

function aboutGaps(gaps: readonly Step[], usual: number, fps: number): string[] {
  if (gaps.length === 0) return [];
  const missing = gaps.reduce((sum, { size }) => sum + size / usual - 1, 0);
  const [{ from, to }] = gaps;
  return [
    `${countOf(missing, 'number is', 'numbers are')} missing among the frames (${gaps.length > 1 ? 'first gap' : 'gap'}: ` +
      `${from}, ${to}): ${CONSECUTIVE}, so seconds after a gap are too early, by ${significant(missing / fps, 3)} s at the ` +
      'end. Extract the frames again if these belong to them',
  ];
}
