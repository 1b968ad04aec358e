/** @file Detections as people with named actions, for JSON files and drawings. */
import { drawnName } from '../drawing/names.js';
import type { DrawnBox } from '../drawing/types.js';
import type { Detections } from '../model/inference.js';
import { fiveDecimals } from './detections_csv.js';
import { avaIou, hasArea } from './overlap.js';

export interface FoundAction {
  /** 1-based, as in the label map. */
  readonly id: number;
  readonly name: string;
  readonly score: number;
}

export interface FoundPerson {
  /** x1, y1, x2, y2 as fractions of the image's width and height. */
  readonly box: Float32Array;
  /** Probability of being a person; NaN if unknown. */
  readonly score: number;
  /** The most likely actions above the threshold, in descending order of scores. */
  readonly actions: readonly FoundAction[];
}

export interface ActionChoice {
  /** Action id → name; actions without a name are left out. Null to name all actions by number. */
  readonly names: ReadonlyMap<number, string> | null;
  readonly threshold: number;
  /** Maximum number of actions per person. */
  readonly top: number;
}

/** Minimum overlap (intersection over union) of two boxes of one person, as in AVA's evaluation. */
const SAME_PERSON = 0.5;

/**
 * Rows of the detections with one row per person, the one with the best score. Several queries of the model may find the same
 * person; evaluation counts them all, but a drawing should show one box.
 */
export function distinctPeople({ boxes, personScores }: Detections): number[] {
  const best = Array.from(personScores.keys())
    .filter((row) => isVisible(boxes, row))
    .sort((a, b) => personScores[b] - personScores[a]);
  const kept: number[] = [];
  for (const row of best) {
    if (kept.every((other) => avaIou(boxes, 4 * row, boxes, 4 * other) < SAME_PERSON)) kept.push(row);
  }
  return kept;
}

/** Whether a box has an area in the five decimals of AVA's csv. Evaluation ignores other boxes, and they would be invisible. */
export function isVisible(boxes: Float32Array, row: number): boolean {
  return hasArea(Array.from(boxes.subarray(4 * row, 4 * row + 4), fiveDecimals), 0);
}

/** The people in the given rows of the detections. */
export function namePeople(
  { boxes, personScores, actionScores }: Detections,
  rows: readonly number[],
  { names, threshold, top }: ActionChoice,
): FoundPerson[] {
  const K = personScores.length > 0 ? actionScores.length / personScores.length : 0;
  return rows.map((n) => {
    const actions = Array.from(actionScores.subarray(n * K, (n + 1) * K), (value, k) => ({
      id: k + 1,
      name: names === null ? `action ${k + 1}` : names.get(k + 1),
      score: value,
    }))
      .filter((action): action is FoundAction => action.name !== undefined && action.score >= threshold)
      .sort((a, b) => b.score - a.score)
      .slice(0, top);
    return { box: boxes.slice(4 * n, 4 * n + 4), score: personScores[n], actions };
  });
}

export function personBox({ box, score, actions }: FoundPerson): DrawnBox {
  const labels = actions.map(({ id, name, score: own }) => `${drawnName(id, name)} ${own.toFixed(2)}`);
  if (labels.length === 0) labels.push(Number.isNaN(score) ? 'person' : `person ${score.toFixed(2)}`);
  return { box, labels, kind: 'detection' };
}
