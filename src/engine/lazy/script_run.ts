/** @file The run of a script, in segments between the host's own work. */
import type { ConstantPool, HostContent, HostMemory } from './host_memory.js';
import type { Aftermath, RunStep, Script } from './script.js';
import { runTogether } from './together.js';
import type { Buffer, Value } from './value.js';

/** What a run needs of the graph. */
export interface ScriptHost<B extends Buffer> {
  readonly memory: HostMemory<B>;
  readonly pool: ConstantPool<B>;
  /** Does work while no other run is under way. */
  exclusively(work: () => Promise<void>): Promise<void>;
  /** Counts the time of a read in the statistics. */
  timed<T>(read: () => Promise<T>): Promise<T>;
  /** Counts a run in the statistics. */
  count(step: { readonly region: string; readonly nodes: number }, seconds: number): void;
}

/** The values that a run works on. */
export interface RunValues<B extends Buffer> {
  /** In the order of the externals. */
  readonly externals: readonly Value<B>[];
  /** Releases the caller's reference to a consumed external, after its last use. */
  release(external: number): void;
}

/**
 * Repeats a script. The caller feeds and reads in the order of the capture, and ends the run with `finish` or `abort`. If
 * something throws, the run has ended: its buffers are released, and externals that were not yet replaced keep their contents.
 */
export class ScriptRun<B extends Buffer> {
  readonly #slots: (B | null)[];
  /** Externals that the run holds a reference to. */
  readonly #held: Set<number>;
  /** Slots whose buffers the run has to release. */
  readonly #own = new Set<number>();
  #step = 0;
  #feed = 0;
  #isOver = false;
  #onMade: (result: number, buffer: B) => void = () => {};

  constructor(
    readonly script: Script<B>,
    private readonly values: RunValues<B>,
    private readonly host: ScriptHost<B>,
  ) {
    const { externals } = values;
    this.#slots = new Array(script.content.slots.length).fill(null);
    this.#held = new Set(externals.keys());
    for (const [i, value] of externals.entries()) {
      value.uses++;
      this.#slots[i] = value.buffer;
    }
    for (const entry of script.entries) entry.retain();
    for (const { constant } of script.constants) constant.users++;
    try {
      for (const { slot, constant } of script.constants) this.#slots[slot] = constant.buffer;
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Gives the next feed, which must not change before the run ends. */
  feed(content: HostContent): void {
    const { feeds, slots } = this.script.content;
    const index = feeds[this.#feed++];
    const slot = slots[index];
    if (this.#isOver || slot?.kind !== 'feed') throw new Error('a script got a feed that it does not have');
    if (!this.script.isUsed(index)) return;
    try {
      this.#slots[index] = this.host.memory.lend(slot.info, content);
      this.#own.add(index);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Runs up to the next read, and returns what is read. */
  async read(): Promise<HostContent> {
    let content: HostContent | null = null;
    await this.#run(async () => {
      const step = this.script.content.steps[this.#step];
      if (step?.kind !== 'read') throw new Error('a script was read more often than its capture');
      const buffer = this.#slots[step.slot] as B;
      content = await this.host.timed(async () => this.host.memory.read(buffer));
      this.#settle(this.script.aftermath[this.#step++]);
    });
    return content as unknown as HostContent;
  }

  /**
   * Runs the rest. Returns the results, which the caller owns; null for none, and for externals that are passed on. `onMade` gets
   * each result as soon as no step uses it any more.
   */
  async finish(onMade: (result: number, buffer: B) => void = () => {}): Promise<(B | null)[]> {
    this.#onMade = onMade;
    await this.#run(async () => {
      if (this.#step < this.script.content.steps.length) throw new Error('a script was not read to its end');
      this.#settle(this.script.aftermath[this.#step]);
    });
    const { made } = this.script.content;
    const results = made.map(({ slot }) => (this.#own.delete(slot) ? this.#slots[slot] : null));
    this.abort();
    return results;
  }

  /** Ends the run early. Does nothing after its end. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const slot of this.#own) this.#slots[slot]?.release();
    this.#own.clear();
    for (const external of this.#held) this.#letGo(external);
    for (const entry of this.script.entries) entry.drop();
    for (const { constant } of this.script.constants) this.host.pool.drop(constant);
  }

  /** Runs executables up to a step of another kind, and then calls `end`. */
  async #run(end: () => Promise<void>): Promise<void> {
    if (this.#isOver) throw new Error('a script was used after its end');
    const { steps } = this.script.content;
    try {
      await this.host.exclusively(async () => {
        while (steps[this.#step]?.kind === 'run') {
          const group = this.#nextGroup();
          await this.#runGroup(group);
          for (const _ of group) this.#settle(this.script.aftermath[this.#step++]);
        }
        await end();
      });
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** The next run, and those at the same time. */
  #nextGroup(): RunStep<B>[] {
    const { steps } = this.script.content;
    const group: RunStep<B>[] = [];
    for (let i = this.#step; i < steps.length; i++) {
      const step = steps[i];
      if (step.kind !== 'run' || (group.length > 0 && !step.isTogether)) break;
      group.push(step);
    }
    return group;
  }

  async #runGroup(group: readonly RunStep<B>[]): Promise<void> {
    const runs = group.map(({ entry, inputs }, n) => {
      const donated = this.#donatedTo(this.#step + n);
      return { entry, inputs: inputs.map((slot) => this.#slots[slot] as B), donated };
    });
    await runTogether(runs, (run, results, seconds) => {
      this.host.count(group[run], seconds);
      for (const [i, slot] of group[run].outputs.entries()) {
        this.#slots[slot] = results[i];
        this.#own.add(slot);
      }
    });
  }

  /** The contents that a step replaces. */
  #donatedTo(step: number): ReadonlySet<B> {
    const { replaced } = this.script.aftermath[step];
    return new Set(replaced.map(([external]) => this.#slots[external] as B));
  }

  /** Releases what a step used last, and replaces the contents of externals. */
  #settle({ released, consumed, replaced, made }: Aftermath): void {
    for (const result of made) this.#onMade(result, this.#slots[this.script.content.made[result].slot] as B);
    for (const slot of released) {
      this.#own.delete(slot);
      this.#slots[slot]?.release();
      this.#slots[slot] = null;
    }
    for (const external of consumed) {
      this.#letGo(external);
      this.#held.delete(external);
      this.values.release(external);
      this.#slots[external] = null;
    }
    for (const [external, slot] of replaced) {
      const value = this.values.externals[external];
      this.#own.delete(slot);
      value.buffer?.release();
      value.buffer = this.#slots[slot];
    }
  }

  #letGo(external: number): void {
    const value = this.values.externals[external];
    value.uses--;
    value.collect();
  }
}
