/**
 * @file A script: the captured runs of executables of a computation, which a later computation repeats with other contents.
 *
 * Buffers have numbers, their slots. The first slots are the externals, which exist before the script runs.
 */
import type { CachedExecutable } from './executables.js';
import type { Constant } from './host_memory.js';
import type { Buffer, ValueInfo } from './value.js';

/** What is known of a slot before the script runs. */
export type Slot<B extends Buffer> =
  | { readonly kind: 'external' | 'temporary' }
  /** A content that the host gives in each run. */
  | { readonly kind: 'feed'; readonly info: ValueInfo }
  | { readonly kind: 'constant'; readonly constant: Constant<B> };

/** The run of an executable, with buffers or with their slots. */
export interface ExecutableRun<B extends Buffer, Place> {
  readonly entry: CachedExecutable<B>;
  readonly inputs: readonly Place[];
  readonly outputs: readonly Place[];
  /** Whether it runs at the same time as the run before it. */
  readonly isTogether: boolean;
  /** Region and number of operations, for the statistics. */
  readonly region: string;
  readonly nodes: number;
}

export interface RunStep<B extends Buffer> extends ExecutableRun<B, number> {
  readonly kind: 'run';
}

/** The host reads a slot. Before it goes on, it may feed. */
export interface ReadStep {
  readonly kind: 'read';
  readonly slot: number;
}

export type Step<B extends Buffer> = RunStep<B> | ReadStep;

/** A result that the caller gets. Its slot is −1 if there is none. */
export interface MadeResult {
  readonly slot: number;
  /** What is in the slot. */
  readonly info: ValueInfo;
  /** The shape in which the caller sees it. */
  readonly view: readonly number[];
}

/** What a script leaves behind. */
export interface Results {
  /** The slots that replace the contents of externals: pairs of external and slot. */
  readonly replacements: readonly (readonly [external: number, slot: number])[];
  readonly made: readonly MadeResult[];
}

/** All that a capture found. */
export interface ScriptContent<B extends Buffer> extends Results {
  readonly slots: readonly Slot<B>[];
  readonly steps: readonly Step<B>[];
  /** The slots of the feeds, in the order in which the host gives them. */
  readonly feeds: readonly number[];
  /** Externals that the script releases after their last use. */
  readonly consumed: readonly number[];
  /** What the host has to do in each run, in words of the caller. */
  readonly notes: string;
}

/** What happens to slots after a step. */
export interface Aftermath {
  /** Buffers to release. */
  released: number[];
  /** Externals that are used up. */
  consumed: number[];
  /** Replacements that are due. */
  replaced: (readonly [external: number, slot: number])[];
  /** Results that no later step uses, by their numbers. */
  made: number[];
}

export class Script<B extends Buffer> {
  /** For each step, and one entry more for those slots that no step uses. */
  readonly aftermath: readonly Aftermath[];
  /** The executables, each once. */
  readonly entries: readonly CachedExecutable<B>[];
  readonly constants: readonly { readonly slot: number; readonly constant: Constant<B> }[];
  /** Slots that some step uses. */
  readonly #used: ReadonlySet<number>;

  constructor(readonly content: ScriptContent<B>) {
    const { steps, slots } = content;
    this.entries = [...new Set(steps.flatMap((step) => (step.kind === 'run' ? [step.entry] : [])))];
    this.constants = slots.flatMap((found, slot) =>
      found.kind === 'constant' ? [{ slot, constant: found.constant }] : [],
    );
    const lastUse = lastUses(steps);
    this.#used = new Set(lastUse.keys());
    this.aftermath = planAftermath(content, lastUse);
  }

  isUsed(slot: number): boolean {
    return this.#used.has(slot);
  }

  /** Whether all executables are still in the cache. */
  get isComplete(): boolean {
    return this.entries.every(({ isEvicted }) => !isEvicted);
  }

  /** Whether another script does the same with the same constants. */
  equals(other: Script<B>): boolean {
    const [a, b] = [this.content, other.content];
    return (
      a.notes === b.notes &&
      equalLists(a.slots, b.slots, sameSlot) &&
      equalLists(a.steps, b.steps, sameStep) &&
      equalLists(a.feeds, b.feeds, Object.is) &&
      equalLists(a.consumed, b.consumed, Object.is) &&
      equalLists(a.made, b.made, sameResult) &&
      equalLists(a.replacements, b.replacements, (p, q) => p[0] === q[0] && p[1] === q[1])
    );
  }
}

/** The index of the last step that uses or makes a slot. */
function lastUses<B extends Buffer>(steps: readonly Step<B>[]): Map<number, number> {
  const last = new Map<number, number>();
  for (const [i, step] of steps.entries()) {
    const slots = step.kind === 'run' ? [...step.inputs, ...step.outputs] : [step.slot];
    for (const slot of slots) last.set(slot, i);
  }
  return last;
}

function planAftermath<B extends Buffer>(
  { slots, steps, consumed, made, replacements }: ScriptContent<B>,
  lastUse: ReadonlyMap<number, number>,
): Aftermath[] {
  const plan = Array.from({ length: steps.length + 1 }, (): Aftermath => {
    return { released: [], consumed: [], replaced: [], made: [] };
  });
  const after = (slot: number) => plan[lastUse.get(slot) ?? steps.length];
  const survivors = new Set([...made.map(({ slot }) => slot), ...replacements.map(([, slot]) => slot)]);
  for (const [slot, { kind }] of slots.entries()) {
    const isOwn = kind === 'temporary' || (kind === 'feed' && lastUse.has(slot));
    if (isOwn && !survivors.has(slot)) after(slot).released.push(slot);
  }
  for (const [result, { slot }] of made.entries()) {
    const isFirst = made.findIndex((other) => other.slot === slot) === result;
    if (isFirst && slots[slot]?.kind === 'temporary') after(slot).made.push(result);
  }
  for (const external of consumed) if (!survivors.has(external)) after(external).consumed.push(external);
  const produced = new Map<number, number>();
  for (const [i, step] of steps.entries())
    if (step.kind === 'run') for (const slot of step.outputs) produced.set(slot, i);
  for (const pair of replacements) {
    const [external, slot] = pair;
    // As soon as the new content exists and the old one is used up.
    const due = Math.max(lastUse.get(external) ?? 0, produced.get(slot) ?? steps.length);
    plan[due].replaced.push(pair);
  }
  return plan;
}

function equalLists<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  return a.length === b.length && a.every((x, i) => same(x, b[i]));
}

function sameInfo(a: ValueInfo, b: ValueInfo): boolean {
  return a.dtype === b.dtype && equalLists(a.shape, b.shape, Object.is);
}

function sameResult(a: MadeResult, b: MadeResult): boolean {
  return a.slot === b.slot && sameInfo(a.info, b.info) && equalLists(a.view, b.view, Object.is);
}

function sameSlot<B extends Buffer>(a: Slot<B>, b: Slot<B>): boolean {
  if (a.kind === 'constant') return b.kind === 'constant' && a.constant === b.constant;
  if (a.kind === 'feed') return b.kind === 'feed' && sameInfo(a.info, b.info);
  return a.kind === b.kind;
}

function sameStep<B extends Buffer>(a: Step<B>, b: Step<B>): boolean {
  if (a.kind === 'read') return b.kind === 'read' && a.slot === b.slot;
  return (
    b.kind === 'run' &&
    a.entry === b.entry &&
    a.isTogether === b.isTogether &&
    a.region === b.region &&
    a.nodes === b.nodes &&
    equalLists(a.inputs, b.inputs, Object.is) &&
    equalLists(a.outputs, b.outputs, Object.is)
  );
}
