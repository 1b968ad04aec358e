/** @file All processes stop or skip a step together if its values are not finite in one of them. */
import { hostname } from 'node:os';
import type { Communicator } from '../../distributed/communicator.js';
import { firstOf } from '../../distributed/json_values.js';
import { type NonFinite, NonFiniteError } from './nonfinite.js';

/** The details as JSON holds them, which has no numbers that are not finite. */
type Sent = Omit<NonFinite, 'terms' | 'total'> & {
  readonly terms: readonly (readonly [name: string, value: string])[];
  readonly total: string;
};

/**
 * Throws NonFiniteError if `own` is not null in this process or in another one, with the details of the lowest such
 * process, which is their owner. All processes must call this.
 */
export async function throwTogether(
  own: NonFinite | null,
  communicator: Communicator | undefined,
): Promise<void> {
  if (!communicator) {
    if (own) throw new NonFiniteError(own);
    return;
  }
  const owner = { rank: communicator.rank, host: hostname() };
  const first = await firstOf(communicator, own && toJson({ ...own, owner }));
  if (first) throw new NonFiniteError(fromJson(first));
}

function toJson({ terms, total, ...details }: NonFinite): Sent {
  return {
    ...details,
    terms: Array.from(terms, ([name, value]) => [name, String(value)] as const),
    total: String(total),
  };
}

function fromJson({ terms, total, ...details }: Sent): NonFinite {
  return {
    ...details,
    terms: new Map(terms.map(([name, value]) => [name, Number(value)])),
    total: Number(total),
  };
}
