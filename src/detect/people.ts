/** @file Detections as people with named actions: what is written as JSON and drawn. */
import type { DrawnBox } from '../drawing/types.js';
import type { Detections } from '../model/inference.js';

export interface FoundAction {
  /** 1-based, as in the label map. */
  readonly id: number;
  readonly name: string;
  readonly score: number;
}

export interface FoundPerson {
  /** x1, y1, x2, y2 as fractions of the picture's width and height. */
  readonly box: readonly number[];
  /** Probability of being a person. */
  readonly score: number;
  /** The likeliest actions above the threshold, best first. */
  readonly actions: readonly FoundAction[];
}

export interface ActionChoice {
  /** Action id → name; actions without a name are left out. Null names all by their number. */
  readonly names: ReadonlyMap<number, string> | null;
  readonly threshold: number;
  /** Actions of one person at most. */
  readonly top: number;
}

export function namePeople(
  { boxes, personScores, actionScores }: Detections,
  { names, threshold, top }: ActionChoice,
): FoundPerson[] {
  const K = personScores.length > 0 ? actionScores.length / personScores.length : 0;
  return Array.from(personScores, (score, n) => {
    const actions = Array.from(actionScores.subarray(n * K, (n + 1) * K), (value, k) => ({
      id: k + 1,
      name: names === null ? `action ${k + 1}` : names.get(k + 1),
      score: value,
    }))
      .filter((action): action is FoundAction => action.name !== undefined && action.score >= threshold)
      .sort((a, b) => b.score - a.score)
      .slice(0, top);
    return { box: Array.from(boxes.subarray(4 * n, 4 * n + 4)), score, actions };
  });
}

export function personBox({ box, score, actions }: FoundPerson): DrawnBox {
  const labels = actions.map((action) => `${action.name} ${action.score.toFixed(2)}`);
  return { box, labels: labels.length > 0 ? labels : [`person ${score.toFixed(2)}`], kind: 'detection' };
}
