/** @file A loss or gradients that are not finite: the facts of one step, and the error that tells them. */
import type { ClipInfo } from '../../data/clip/clip.js';
import { UserError } from '../../errors.js';
import type { MicroBatch } from '../../model/dropout.js';
import { firstNames } from '../../util/text.js';

/** What was not finite in a step. */
export interface NonFinite {
  readonly what: 'loss' | 'gradients';
  /** The clips that it was computed from, and which of the batch they were. */
  readonly part: MicroBatch;
  /** The loss terms of these clips, and their mean. */
  readonly terms: ReadonlyMap<string, number>;
  readonly total: number;
  /** The parameters whose gradients were not finite, and how many have one; none where it was the loss. */
  readonly parameters: readonly string[];
  readonly numParameters: number;
  /** The clips that are to blame, as far as that can be told. */
  readonly clips: readonly ClipInfo[];
}

/** A step that did not change the weights, because its loss or gradients were not finite: exit code 1. */
export class NonFiniteError extends UserError {
  constructor(
    readonly facts: NonFinite,
    message = `${describeNonFinite(facts)}. The weights were not changed by this step.`,
  ) {
    super(message);
  }
}

/** Parameters that are named; where many are bad, the first tell what the others would. */
const MAX_NAMES = 5;

/** One sentence, without its full stop. */
export function describeNonFinite({
  what,
  terms,
  total,
  parameters,
  numParameters,
  clips,
}: NonFinite): string {
  const from =
    clips.length > 0
      ? ` for ${clips.map(({ videoName, second }) => `${videoName} at second ${second}`).join('; ')}`
      : '';
  if (what === 'loss') {
    const bad = [...terms].flatMap(([name, term]) => (Number.isFinite(term) ? [] : [`${name} = ${term}`]));
    return `the loss is not finite (${bad.join(', ') || 'its sum overflowed'})${from}`;
  }
  return (
    `the loss is ${total}, but the gradients of ${parameters.length} of ${numParameters} parameters are not ` +
    `finite (${firstNames(parameters, MAX_NAMES)})${from}`
  );
}
