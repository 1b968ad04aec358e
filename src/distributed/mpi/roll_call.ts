/** @file Finds out which processes do not take part in an operation. */
import { setTimeout } from 'node:timers/promises';
import { firstNames } from '../../util/text.js';

/** Milliseconds that the others have for an answer. */
const PATIENCE_MS = 2000;
const LOOK_MS = 20;
/** Maximum number of processes that a message names. */
const MAX_NAMES = 5;

/** What the other processes have answered. */
export class RollCall {
  /** Whether a process has begun the operation, by rank. */
  readonly #answers = new Map<number, boolean>();

  constructor(
    private readonly rank: number,
    /** The machine of each process. */
    private readonly hosts: readonly string[],
  ) {}

  /** Notes the answer of a process. */
  note(rank: number, hasBegun: boolean): void {
    this.#answers.set(rank, hasBegun);
  }

  /** Asks all other processes with `ask`, and says which of them the operation waits for. */
  async call(ask: () => Promise<void>): Promise<string> {
    const others = [...this.hosts.keys()].filter((rank) => rank !== this.rank);
    this.#answers.clear();
    const end = performance.now() + PATIENCE_MS;
    await ask();
    while (this.#answers.size < others.length && performance.now() < end) await setTimeout(LOOK_MS);
    const silent = others.filter((rank) => !this.#answers.has(rank));
    if (silent.length > 0)
      return `there is no answer from ${this.#names(silent)}: a process hangs there, or the network is down`;
    const busy = others.filter((rank) => this.#answers.get(rank) === false);
    if (busy.length > 0) return `still busy with something else: ${this.#names(busy)}`;
    return 'all others wait, too, so the network is slow or down';
  }

  #names(ranks: readonly number[]): string {
    return firstNames(
      ranks.map((rank) => `process ${rank} on ${this.hosts[rank]}`),
      MAX_NAMES,
    );
  }
}
