/** @file Boxes in other units than fractions of the image, or in other columns than x1, y1, x2, y2. */
import type { ImageBoxes } from '../ava_csv.js';
import type { RowSummary } from '../row_summary.js';
import { type Comparison, rangeText, type Side, type SideName, share, shareOf } from './comparison.js';
import { type KeyPair, type ReadBox, type Trial, type TrialResult, trialOf, tryReading } from './trial.js';

/** Fraction of the true boxes that another reading must find to be plausible. */
const LIKELY = 0.5;
/** Factor by which it must find more true boxes than the boxes as they are. */
const CLEARLY_MORE = 3;
/** True boxes that it must find if there is no other evidence for it. */
const MIN_FOUND = 3;
/** Factor by which a later reading must be better than an earlier one, because the likely ones come first. */
const CLEARLY_BETTER = 1.1;
/** Minimum of the largest coordinate of boxes in another unit. */
const MIN_REACH = 10;
/** Maximum factor between the largest coordinates of two sides in the same unit. */
const SAME_REACH = 2;

interface Layout {
  readonly what: string;
  readonly read: ReadBox;
}

const CORNERS: Layout = { what: 'x1, y1, x2, y2', read: (...box) => box };
/** Layouts of the four columns in files of other tools. */
const LAYOUTS: readonly Layout[] = [
  { what: 'x, y, width, height', read: (x, y, width, height) => [x, y, x + width, y + height] },
  {
    what: 'the centre, width and height',
    read: (x, y, width, height) => [x - width / 2, y - height / 2, x + width / 2, y + height / 2],
  },
  {
    what: 'corners in another order than top left, bottom right',
    read: (a, b, c, d) => [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)],
  },
  { what: 'y1, x1, y2, x2', read: (y1, x1, y2, x2) => [x1, y1, x2, y2] },
  { what: 'x1, x2, y1, y2', read: (x1, x2, y1, y2) => [x1, y1, x2, y2] },
];

interface Unit {
  readonly what: string;
  readonly remedy: string;
  readonly width: number;
  readonly height: number;
}

const FRACTIONS: Unit = { what: 'fractions', remedy: '', width: 1, height: 1 };
const PERCENT: Unit = { what: 'percent', remedy: 'divide them by 100', width: 100, height: 100 };
const THOUSANDTHS: Unit = {
  what: 'thousandths',
  remedy: 'divide them by 1000',
  width: 1000,
  height: 1000,
};

/** Pixels of an image of unknown size, which 1 stands for. */
const PIXELS: Unit = {
  what: 'pixels',
  remedy: "divide x by the image's width and y by its height",
  width: 1,
  height: 1,
};

/** Another reading of the boxes of one side, and its result. */
interface Guess {
  readonly side: SideName;
  readonly unit: Unit;
  readonly layout: Layout;
  readonly result: TrialResult;
}

/** Warns about boxes without an area and boxes that are not fractions of the image, and says what they seem to be. */
export function fitBoxes(comparison: Comparison, keyPairs: readonly KeyPair[]): string[] {
  const { predictions, groundTruth } = comparison;
  const trial = trialOf(comparison, keyPairs);
  const beyond = sideInOtherUnits(predictions.summary, groundTruth.summary);
  const now = tryReading(trial);
  const guess = bestGuess(comparison, trial, now, beyond);
  const warnings: string[] = [];
  if (beyond) warnings.push(unitSentence(comparison, beyond, guess));
  const flat = [predictions, groundTruth].filter(({ summary }) => summary.rowsWithoutArea > 0);
  const layout = guess && guess.layout !== CORNERS ? guess : null;
  if (flat.length > 0) warnings.push(flatSentence(flat, layout, keyPairs.length));
  else if (layout) {
    warnings.push(
      `the boxes hardly overlap (${shareOf(now.found, now.trueBoxes, 'true box', 'true boxes')} found at the compared ` +
        `key frames): ${layoutAdvice(layout)}`,
    );
  }
  return warnings;
}

/** The side whose coordinates are not fractions of the image; null if both are, or both are in the same unit. */
function sideInOtherUnits(predictions: RowSummary, groundTruth: RowSummary): SideName | null {
  const [a, b] = [reach(predictions), reach(groundTruth)];
  const isFar = (i: 0 | 1) => a[i] > SAME_REACH * b[i] || b[i] > SAME_REACH * a[i];
  const predictionsBeyond = predictions.rowsBeyondImage > 0;
  const groundTruthBeyond = groundTruth.rowsBeyondImage > 0;
  if (!predictionsBeyond && !groundTruthBeyond) return null;
  if (predictionsBeyond !== groundTruthBeyond) return predictionsBeyond ? 'predictions' : 'ground truth';
  if (!isFar(0) && !isFar(1)) return null;
  return a[0] > b[0] ? 'predictions' : 'ground truth';
}

/** Largest distance of coordinates from the corner along each axis. */
function reach({ minX, maxX, minY, maxY }: RowSummary): [number, number] {
  return [Math.max(-minX, maxX), Math.max(-minY, maxY)];
}

/** The reading that finds the most true boxes, if it finds clearly more than the boxes as they are. */
function bestGuess(
  comparison: Comparison,
  trial: Trial,
  now: TrialResult,
  beyond: SideName | null,
): Guess | null {
  if (now.trueBoxes === 0 || now.found * CLEARLY_MORE > now.trueBoxes) return null;
  let best: Guess | null = null;
  const sides: SideName[] = beyond ? [beyond] : ['predictions', 'ground truth'];
  for (const side of sides) {
    for (const layout of [CORNERS, ...LAYOUTS]) {
      for (const unit of beyond ? unitsOf(trial, beyond, layout) : [FRACTIONS]) {
        const result = tryReading(trial, readingOf(side, unit, layout));
        if (result.found > CLEARLY_BETTER * (best?.result.found ?? 0)) best = { side, unit, layout, result };
      }
    }
  }
  if (!best || best.result.found < LIKELY * now.trueBoxes) return null;
  const isShown = beyond !== null || sideOf(comparison, best.side).summary.rowsWithoutArea > 0;
  if (!isShown && best.result.found < MIN_FOUND) return null;
  return best.result.found >= CLEARLY_MORE * now.found ? best : null;
}

function readingOf(side: SideName, { width, height }: Unit, { read }: Layout) {
  const convert: ReadBox = (a, b, c, d) => {
    const [x1, y1, x2, y2] = read(a, b, c, d);
    return [x1 / width, y1 / height, x2 / width, y2 / height];
  };
  return side === 'predictions' ? { predictions: convert } : { groundTruth: convert };
}

/** Possible units of the boxes of a side, assuming that the boxes of both sides reach equally far in the image. */
function unitsOf({ pairs, predictions, groundTruth }: Trial, side: SideName, { read }: Layout): Unit[] {
  const predicted = pairs.map(([key]) => predictions.get(key));
  const labelled = pairs.map(([, key]) => groundTruth.get(key));
  const [mine, other] = side === 'predictions' ? [predicted, labelled] : [labelled, predicted];
  const [width, height] = reachOf(mine, read);
  const [otherWidth, otherHeight] = reachOf(other, CORNERS.read);
  return [PERCENT, THOUSANDTHS, { ...PIXELS, width: width / otherWidth, height: height / otherHeight }];
}

/** The largest x and y of boxes in the given reading. */
function reachOf(images: readonly (ImageBoxes | undefined)[], read: ReadBox): [number, number] {
  let [x, y] = [0, 0];
  for (const image of images) {
    const boxes = image?.boxes ?? [];
    for (let i = 0; i < boxes.length; i += 4) {
      const [x1, y1, x2, y2] = read(boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]);
      x = Math.max(x, x1, x2);
      y = Math.max(y, y1, y2);
    }
  }
  return [x, y];
}

/** The most common unit of coordinates that reach so far. */
function usualUnit([x, y]: readonly [number, number]): Unit {
  if (Math.max(x, y) <= PERCENT.width) return PERCENT;
  const isSquare = [x, y].every((value) => value > 0.9 * THOUSANDTHS.width && value <= THOUSANDTHS.width);
  return isSquare ? THOUSANDTHS : PIXELS;
}

function sideOf({ predictions, groundTruth }: Comparison, name: SideName): Side {
  return name === 'predictions' ? predictions : groundTruth;
}

function unitSentence(comparison: Comparison, name: SideName, guess: Guess | null): string {
  const { summary } = sideOf(comparison, name);
  const other = name === 'predictions' ? comparison.groundTruth : comparison.predictions;
  const outside =
    summary.rowsBeyondImage < summary.rows
      ? `, which those of ${shareOf(summary.rowsBeyondImage, summary.rows, 'box', 'boxes')} are not`
      : '';
  return (
    `the boxes of the ${name} reach from ${coordinates(summary)}, those of the ${other.name} from ` +
    `${coordinates(other.summary)}: coordinates must be fractions of the image's width and height${outside}` +
    unitAdvice(reach(summary), guess)
  );
}

/** Advice about the unit; empty if the coordinates reach only a little too far. */
function unitAdvice(reached: readonly [number, number], guess: Guess | null): string {
  if (!guess && Math.max(...reached) < MIN_REACH) return '';
  const unit = guess?.unit ?? usualUnit(reached);
  return `; these look like ${unit.what}: ${unit.remedy}${guess ? `; then ${foundText(guess)}` : ''}`;
}

function coordinates({ minX, maxX, minY, maxY }: RowSummary): string {
  return rangeText(Math.min(minX, minY), Math.max(maxX, maxY));
}

function foundText({ result }: Guess): string {
  return `${shareOf(result.found, result.trueBoxes, 'true box', 'true boxes')} would be found at the compared key frames`;
}

function flatSentence(sides: readonly Side[], layout: Guess | null, comparedKeyFrames: number): string {
  const facts = sides.map(
    ({ name, summary }) =>
      `${share(summary.rowsWithoutArea, summary.rows)} boxes of the ${name} have no area (x2 ≤ x1 or y2 ≤ y1) and ` +
      (name === 'predictions' ? 'are not evaluated' : 'can never be found'),
  );
  const text = facts.join('; ');
  if (layout) return `${text}: ${layoutAdvice(layout)}`;
  const all = sides.find(({ summary }) => summary.rowsWithoutArea === summary.rows);
  return all && comparedKeyFrames === 0 ? `${text}: the columns may not be x1, y1, x2, y2` : text;
}

function layoutAdvice(guess: Guess): string {
  return `the columns of the ${guess.side} look like ${guess.layout.what}: with this reading, ${foundText(guess)}`;
}
