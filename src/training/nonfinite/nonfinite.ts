/** @file A step whose loss or gradients are not finite: its description and its error. */
import type { ClipInfo } from '../../data/clip/clip.js';
import { UserError } from '../../errors.js';
import { firstNames } from '../../util/text.js';
import type { MicroBatch } from '../micro_batch.js';

/** Description of a step whose loss or gradients are not finite. */
export interface NonFinite {
  readonly what: 'loss' | 'gradients';
  /** Micro-batch in which it happened. */
  readonly microBatch: MicroBatch;
  /** Loss terms of these clips, and their mean. */
  readonly terms: ReadonlyMap<string, number>;
  readonly total: number;
  /** Parameters whose gradients are not finite; empty if the loss is not. */
  readonly parameters: readonly string[];
  /** Number of parameters with a gradient. */
  readonly numParameters: number;
  /** Clips that caused it, or all of the micro-batch if that is not known. */
  readonly clips: readonly ClipInfo[];
  /**
   * The process that computed these clips, where several train together. Null if the gradients of each process are
   * finite and their sum is not; there are no `clips` then.
   */
  readonly owner?: Owner | null;
}

/** One of several processes. */
export interface Owner {
  readonly rank: number;
  readonly host: string;
}

/** A step that changed no weight because its loss or gradients are not finite: exit code 1. */
export class NonFiniteError extends UserError {
  constructor(
    readonly details: NonFinite,
    message = `${describeNonFinite(details)}. The weights were not changed by this step.`,
  ) {
    super(message);
  }
}

/** Maximum number of parameters that a message names. */
const MAX_NAMES = 5;

/** Describes the step in one sentence without a full stop. */
export function describeNonFinite({
  what,
  terms,
  total,
  parameters,
  numParameters,
  clips,
  owner,
}: NonFinite): string {
  const names = clips.map(({ videoName, second }) => `${videoName} at second ${second}`);
  const place = owner ? ` (process ${owner.rank} on ${owner.host})` : '';
  const from = (names.length > 0 ? ` for ${names.join('; ')}` : '') + place;
  if (what === 'loss') {
    const bad = [...terms].flatMap(([name, term]) => (Number.isFinite(term) ? [] : [`${name} = ${term}`]));
    return `the loss is not finite (${bad.join(', ') || 'its sum overflowed'})${from}`;
  }
  return (
    `the loss is ${total}, but the gradients of ${parameters.length} of ${numParameters} parameters are not ` +
    `finite (${firstNames(parameters, MAX_NAMES)})${from}` +
    (owner === null ? ', although those of each process are: their sum overflowed' : '')
  );
}
