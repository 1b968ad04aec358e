/** @file Videos with different names in the predictions and in the ground truth. */
import { countOf } from '../../util/text.js';
import { imageKey } from '../ava_csv.js';
import type { VideoSummary } from '../row_summary.js';
import { type Comparison, listNames, share, shareOf } from './comparison.js';

/** A normalisation of names, which makes names equal that differ only in it. */
interface Spelling {
  readonly how: string;
  apply(name: string): string;
}

const FOLDERS: Spelling = { how: 'folders', apply: (name) => name.replace(/^.*[/\\]/, '') };
const EXTENSION: Spelling = { how: 'extension', apply: (name) => name.replace(/(?<=.)\.\w{1,5}$/, '') };
const SPELLINGS: readonly Spelling[] = [
  EXTENSION,
  FOLDERS,
  { how: 'in lower case', apply: (name) => name.toLowerCase() },
  { how: 'without spaces, "_" and "-"', apply: (name) => name.replace(/[\s_-]/g, '') },
  { how: 'without leading zeros of numbers', apply: (name) => name.replace(/(?<!\d)0+(?=\d)/g, '') },
  { how: 'in one Unicode form (NFC)', apply: (name) => name.normalize('NFC') },
];

/** Maximum number of names that are compared to find the spelling of all. */
const MAX_NAMES = 2000;
/** Number of names that are searched for each name of the other side. */
const AFFIX_TRIALS = 10;
/** Minimum length of a name that is searched for in others; shorter ones occur by chance. */
const MIN_CORE = 3;

export interface Respelling {
  /** E.g. `without ".mp4"`. */
  readonly how: string;
  /** Name on the one side → name on the other. */
  readonly pairs: ReadonlyMap<string, string>;
}

/** The spelling with which most names of both lists match, or null if none helps. */
export function respell(from: readonly string[], to: readonly string[]): Respelling | null {
  const [someFrom, someTo] = [from.slice(0, MAX_NAMES), to.slice(0, MAX_NAMES)];
  const goal = Math.min(someFrom.length, someTo.length);
  let best: { spellings: readonly Spelling[]; fits: number } = { spellings: [], fits: 0 };
  for (const spellings of combinations()) {
    const fits = pairUp(someFrom, someTo, spellings).size;
    if (fits > best.fits) best = { spellings, fits };
    if (fits === goal) break;
  }
  const affix = 2 * best.fits < goal ? commonAffix(someFrom, someTo) : null;
  if (affix && affix.fits > best.fits) best = { spellings: [affix.spelling], fits: affix.fits };
  if (best.fits === 0) return null;
  const pairs = pairUp(from, to, best.spellings);
  return { how: describe(best.spellings, [...pairs].flat()), pairs };
}

/** All combinations of spellings, short ones first. */
function combinations(): Spelling[][] {
  const all = Array.from({ length: 2 ** SPELLINGS.length - 1 }, (_, bits) =>
    SPELLINGS.filter((_, i) => (bits + 1) & (1 << i)),
  );
  return all.sort((a, b) => a.length - b.length);
}

/** Pairs of names with the same spelling, except names that become equal to others on their own side. */
function pairUp(
  from: readonly string[],
  to: readonly string[],
  spellings: readonly Spelling[],
): Map<string, string> {
  const spell = (name: string) => spellings.reduce((text, { apply }) => apply(text), name);
  const [fromNames, toNames] = [bySpelling(from, spell), bySpelling(to, spell)];
  const pairs = new Map<string, string>();
  for (const [spelled, name] of fromNames) {
    const other = toNames.get(spelled);
    if (name !== null && other) pairs.set(name, other);
  }
  return pairs;
}

/** Spelled name → the name, or null if several names have this spelling. */
function bySpelling(names: readonly string[], spell: (name: string) => string): Map<string, string | null> {
  const found = new Map<string, string | null>();
  for (const name of names) {
    const spelled = spell(name);
    found.set(spelled, found.has(spelled) ? null : name);
  }
  return found;
}

/** Finds text around the names of one side that the names of the other lack, and counts the names that match without it. */
function commonAffix(
  from: readonly string[],
  to: readonly string[],
): { spelling: Spelling; fits: number } | null {
  let best: { spelling: Spelling; fits: number } | null = null;
  for (const [long, short] of [
    [from, to],
    [to, from],
  ]) {
    for (const name of long.slice(0, AFFIX_TRIALS)) {
      for (const core of short) {
        const at = core.length < MIN_CORE ? -1 : name.indexOf(core);
        if (at < 0) continue;
        const spelling = withoutAffix(name.slice(0, at), name.slice(at + core.length));
        const fits = pairUp(from, to, [spelling]).size;
        if (fits > (best?.fits ?? 0)) best = { spelling, fits };
        if (fits === Math.min(from.length, to.length)) return best;
      }
    }
  }
  return best;
}

function withoutAffix(before: string, after: string): Spelling {
  const pieces = [before, after].filter((piece) => piece !== '');
  return {
    how: `without ${pieces.map((piece) => JSON.stringify(piece)).join(' and ')}`,
    apply: (name) =>
      name.length > before.length + after.length && name.startsWith(before) && name.endsWith(after)
        ? name.slice(before.length, name.length - after.length)
        : name,
  };
}

function describe(spellings: readonly Spelling[], names: readonly string[]): string {
  const parts = spellings.map((spelling) => {
    if (spelling === EXTENSION) return removed(spelling, names, 'the extension');
    if (spelling === FOLDERS) return removed(spelling, names, 'the folders');
    return spelling.how;
  });
  return parts.join(' and ');
}

/** Names the text that a spelling removes, if it is the same for all names. */
function removed({ apply }: Spelling, names: readonly string[], many: string): string {
  const pieces = new Set(names.map((name) => name.replace(apply(name), '')));
  pieces.delete('');
  return `without ${pieces.size === 1 ? JSON.stringify([...pieces][0]) : many}`;
}

export interface VideoFit {
  /** Video of the predictions → video of the ground truth that it matches or seems to mean. */
  readonly pairs: ReadonlyMap<string, string>;
  readonly warning: string | null;
}

/** Pairs the videos of both sides, and warns about those without a partner. */
export function fitVideos(comparison: Comparison): VideoFit {
  const predicted = comparison.predictions.summary.videos;
  const labelled = comparison.groundTruth.summary.videos;
  const pairs = new Map<string, string>();
  for (const name of predicted.keys()) if (labelled.has(name)) pairs.set(name, name);
  const onlyPredicted = missing(predicted, labelled, comparison.excluded);
  const onlyLabelled = missing(labelled, predicted, comparison.excluded);
  if (onlyPredicted.length === 0 && onlyLabelled.length === 0) return { pairs, warning: null };
  const facts =
    pairs.size === 0 && onlyPredicted.length > 0 && onlyLabelled.length > 0
      ? `no video is in both files: the predictions have ${listNames(onlyPredicted)}, ` +
        `the ground truth ${listNames(onlyLabelled)}`
      : partly(comparison, onlyPredicted, onlyLabelled);
  const respelling = respell(onlyPredicted, onlyLabelled);
  if (!respelling) return { pairs, warning: facts };
  for (const [name, other] of respelling.pairs) pairs.set(name, other);
  const possible = Math.min(onlyPredicted.length, onlyLabelled.length);
  const fits = shareOf(respelling.pairs.size, possible, 'name');
  const advice = `${respelling.how} ${fits} would fit: rename the videos in one of the files`;
  return { pairs, warning: `${facts}; ${advice}` };
}

/** Videos that the other side lacks, except those whose key frames are all excluded. */
function missing(
  videos: ReadonlyMap<string, VideoSummary>,
  others: ReadonlyMap<string, VideoSummary>,
  excluded: ReadonlySet<string>,
): string[] {
  return [...videos.keys()].filter((name) => {
    if (others.has(name)) return false;
    const seconds = [...videos.get(name)!.seconds];
    return excluded.size === 0 || seconds.some((second) => !excluded.has(imageKey(name, second)));
  });
}

function partly(
  { predictions, groundTruth }: Comparison,
  onlyPredicted: readonly string[],
  onlyLabelled: readonly string[],
): string {
  const facts: string[] = [];
  if (onlyPredicted.length > 0) {
    const { videos } = predictions.summary;
    const rows = onlyPredicted.reduce((sum, name) => sum + videos.get(name)!.rows, 0);
    facts.push(
      `${shareOf(onlyPredicted.length, videos.size, 'video')} of the predictions ` +
        `${onlyPredicted.length === 1 ? 'is' : 'are'} not in the ground truth (${listNames(onlyPredicted)}), and ` +
        `${countOf(rows, 'row')} there cannot match anything`,
    );
  }
  if (onlyLabelled.length > 0) {
    facts.push(
      `${share(onlyLabelled.length, groundTruth.summary.videos.size)} ${groundTruth.summary.videos.size === 1 ? 'video' : 'videos'} ` +
        `of the ground truth ${onlyLabelled.length === 1 ? 'has' : 'have'} no predictions (${listNames(onlyLabelled)})`,
    );
  }
  return facts.join('; ');
}
