/** @file Capture: following a recorded computation to make a script of it. */
import type { ConstantPool, HostContent } from './host_memory.js';
import { type ExecutableRun, type MadeResult, Script, type Slot, type Step } from './script.js';
import type { Buffer, ValueInfo } from './value.js';

/** Where the content of a known value comes from. */
export interface Origin {
  readonly content: HostContent;
  /** Whether the content differs from run to run. Other contents are constants. */
  readonly isFeed: boolean;
}

/** Learns what happens on a lazy graph. */
export interface GraphObserver<B extends Buffer> {
  /** A value has become known that no executable computed. Its origin is null if it has no content. */
  known(buffer: B, info: ValueInfo, origin: Origin | null): void;
  /** A run of an executable has ended. */
  ran(run: ExecutableRun<B, B>): void;
  /** The host has read a content. */
  read(buffer: B): void;
}

/** The end of a captured computation. */
export interface Outcome<B extends Buffer> {
  /** The new contents of externals: pairs of the external's number and its buffer. */
  readonly replaced: readonly (readonly [external: number, buffer: B | null])[];
  /** The results; the buffer is null for none. */
  readonly made: readonly (Omit<MadeResult, 'slot'> & { readonly buffer: B | null })[];
  /** Numbers of the externals that were released. */
  readonly consumed: readonly number[];
  readonly notes: string;
  /** How often the host fed and read, which a script has to repeat. */
  readonly feeds: number;
  readonly reads: number;
}

/** A slot before its constant is in the pool. */
type FoundSlot<B extends Buffer> =
  | Exclude<Slot<B>, { kind: 'constant' }>
  | { readonly kind: 'content'; readonly info: ValueInfo; readonly content: HostContent };

/** Stands in a list of slots for a buffer of unknown origin. */
const UNKNOWN = -1;

export class Capture<B extends Buffer> implements GraphObserver<B> {
  readonly #slots: FoundSlot<B>[] = [];
  readonly #slotOf = new Map<B, number>();
  readonly #steps: Step<B>[] = [];
  readonly #feeds: number[] = [];
  #isRepeatable = true;

  constructor(private readonly externals: readonly B[]) {
    for (const buffer of externals) this.#add(buffer, { kind: 'external' });
  }

  known(buffer: B, info: ValueInfo, origin: Origin | null): void {
    if (origin === null) return;
    const { shape, dtype } = info;
    const copy = { shape: [...shape], dtype };
    if (origin.isFeed) this.#feeds.push(this.#add(buffer, { kind: 'feed', info: copy }));
    else this.#add(buffer, { kind: 'content', info: copy, content: origin.content.slice() });
  }

  ran({ inputs, outputs, ...run }: ExecutableRun<B, B>): void {
    const slots = inputs.map((buffer) => this.#slot(buffer));
    const made = outputs.map((buffer) => this.#add(buffer, { kind: 'temporary' }));
    this.#steps.push({ kind: 'run', inputs: slots, outputs: made, ...run });
  }

  read(buffer: B): void {
    const slot = this.#slot(buffer);
    // What the host made it need not read again.
    if (this.#slots[slot]?.kind === 'temporary') this.#steps.push({ kind: 'read', slot });
  }

  /** Makes a script, or null if the computation cannot be repeated from its externals, feeds and constants alone. */
  finish(
    { replaced, made, consumed, notes, feeds, reads }: Outcome<B>,
    pool: ConstantPool<B>,
  ): Script<B> | null {
    const replacements = replaced.map(([external, buffer]) => [external, this.#slot(buffer)] as const);
    const results = made.map(({ buffer, info, view }) => {
      return { slot: buffer === null ? UNKNOWN : this.#slot(buffer), info, view };
    });
    const resultSlots = results.flatMap(({ slot }) => (slot === UNKNOWN ? [] : [slot]));
    const isComplete =
      this.#isRepeatable &&
      this.#feeds.length === feeds &&
      this.#steps.filter(({ kind }) => kind === 'read').length === reads &&
      replacements.every(([, slot]) => this.#slots[slot]?.kind === 'temporary') &&
      resultSlots.every((slot) => this.#isResult(slot, consumed));
    const survivors = [...replacements.map(([, slot]) => slot), ...resultSlots];
    if (!isComplete || new Set(survivors).size < survivors.length) return null;
    const slots = this.#slots.map((slot): Slot<B> => {
      if (slot.kind !== 'content') return slot;
      return { kind: 'constant', constant: pool.use(slot.info, slot.content) };
    });
    const steps = this.#steps;
    return new Script({ slots, steps, feeds: this.#feeds, consumed, made: results, replacements, notes });
  }

  /** A result is new, or a consumed external that is passed on. */
  #isResult(slot: number, consumed: readonly number[]): boolean {
    return (
      this.#slots[slot].kind === 'temporary' || (slot < this.externals.length && consumed.includes(slot))
    );
  }

  #add(buffer: B, slot: FoundSlot<B>): number {
    // Two externals with one buffer cannot be told apart.
    if (this.#slotOf.has(buffer)) this.#isRepeatable = false;
    this.#slotOf.set(buffer, this.#slots.length);
    return this.#slots.push(slot) - 1;
  }

  #slot(buffer: B | null): number {
    const slot = buffer === null ? undefined : this.#slotOf.get(buffer);
    if (slot === undefined) this.#isRepeatable = false;
    return slot ?? UNKNOWN;
  }
}
