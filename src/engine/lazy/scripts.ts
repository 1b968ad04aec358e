/** @file The scripts of a lazy graph: when a computation is captured, and when a script is trusted. */
import { sameShape } from '../../formats/host_tensor.js';
import { Capture, type Outcome } from './capture.js';
import type { LazyGraph } from './graph.js';
import { ConstantPool, type HostMemory } from './host_memory.js';
import type { Script } from './script.js';
import { ScriptRun } from './script_run.js';
import { layoutText } from './segments.js';
import type { Buffer, Value, ValueInfo } from './value.js';

/** Scripts that are kept. A training has three for each size of clips if it accumulates gradients. */
const MAX_SCRIPTS = 64;

/** Stands for a result that is not there. */
const NOTHING: ValueInfo & { readonly buffer: null } = { shape: [], dtype: 'float32', buffer: null };

/** A computation that may be captured, or run from a script. */
export interface Computation<B extends Buffer> {
  /** The objects that the computation belongs to, such as a model. */
  readonly owners: readonly object[];
  /** All that determines the operations beside the owners, and the shapes and layouts of the externals. */
  readonly key: string;
  /** Values that the computation only reads. */
  readonly borrowed: readonly Value<B>[];
  /** Values that the computation releases. */
  readonly consumed: readonly Value<B>[];
  /** Values that get new contents. */
  readonly replaced: readonly Value<B>[];
  /** Releases the caller's reference to a consumed value. */
  release(consumed: number): void;
}

/** The end of a recorded computation; null for results that are not there. */
export interface Recorded<B extends Buffer> extends Pick<Outcome<B>, 'notes' | 'feeds' | 'reads'> {
  /** The values that stand for the replaced ones now, in their order. */
  readonly replaced: readonly Value<B>[];
  readonly made: readonly ({
    readonly value: Value<B>;
    /** The shape in which the caller sees the value. */
    readonly view: readonly number[];
  } | null)[];
}

/** A computation that is recorded and captured. It ends with `finish` or `abort`. */
export interface Recording<B extends Buffer> {
  finish(outcome: Recorded<B>): void;
  abort(): void;
}

/** The newest script of a signature. It is trusted once two captures in a row have been equal. */
interface Entry<B extends Buffer> {
  readonly script: Script<B>;
  isTrusted: boolean;
}

export class Scripts<B extends Buffer> {
  /** By signature, in the order of use. */
  readonly #entries = new Map<string, Entry<B>>();
  readonly #pool: ConstantPool<B>;
  readonly #owners = new WeakMap<object, number>();
  readonly #shapeTexts = new WeakMap<readonly number[], string>();
  #numOwners = 0;
  #capture: Capture<B> | null = null;

  constructor(
    private readonly graph: LazyGraph<B>,
    private readonly memory: HostMemory<B>,
    private readonly maxScripts = MAX_SCRIPTS,
  ) {
    this.#pool = new ConstantPool(memory);
  }

  /**
   * Begins a computation. Returns the run of its script if that is trusted, or else a capture of the recording that follows;
   * null if it can be neither.
   */
  begin(computation: Computation<B>): ScriptRun<B> | Recording<B> | null {
    const externals = [...computation.borrowed, ...computation.consumed, ...computation.replaced];
    if (!canRepeat(externals, computation.replaced)) return null;
    const signature = this.#signature(computation);
    const entry = this.#entries.get(signature);
    if (entry) {
      this.#entries.delete(signature);
      if (entry.script.isComplete) {
        this.#entries.set(signature, entry);
        if (entry.isTrusted) return this.#run(entry.script, computation, externals);
      } else this.#drop(entry);
    }
    return this.#record(signature, computation, externals);
  }

  /** Number of buffers that the scripts keep on the engine. */
  get numBuffers(): number {
    return this.#pool.numBuffers;
  }

  /** Forgets all scripts and releases their constants. */
  dispose(): void {
    for (const entry of this.#entries.values()) this.#drop(entry);
    this.#entries.clear();
  }

  #run(script: Script<B>, computation: Computation<B>, externals: readonly Value<B>[]): ScriptRun<B> {
    for (const executable of script.entries) this.graph.touch(executable);
    const { borrowed } = computation;
    const release = (external: number) => computation.release(external - borrowed.length);
    const host = { memory: this.memory, pool: this.#pool, ...this.graph.scriptHost() };
    return new ScriptRun(script, { externals, release }, host);
  }

  #record(
    signature: string,
    { borrowed, consumed, replaced: before }: Computation<B>,
    externals: readonly Value<B>[],
  ): Recording<B> | null {
    if (this.#capture) return null;
    const capture = new Capture(externals.map(({ buffer }) => buffer as B));
    this.#capture = capture;
    this.graph.observe(capture);
    const end = () => {
      if (this.#capture !== capture) return false;
      this.#capture = null;
      this.graph.observe(null);
      return true;
    };
    const firstReplaced = borrowed.length + consumed.length;
    return {
      finish: ({ replaced, made, ...rest }) => {
        const isComplete =
          replaced.length === before.length &&
          replaced.every(({ shape }, i) => sameShape(shape, before[i].shape)) &&
          !made.some((result) => result?.value.isPending);
        if (!end() || !isComplete) return;
        const script = capture.finish(
          {
            ...rest,
            replaced: replaced.map(({ buffer }, i) => [firstReplaced + i, buffer] as const),
            made: made.map((result) => {
              const { shape, dtype, buffer } = result?.value ?? NOTHING;
              return { buffer, info: { shape, dtype }, view: result?.view ?? shape };
            }),
            consumed: consumed.map((_, i) => borrowed.length + i),
          },
          this.#pool,
        );
        if (script) this.#store(signature, script);
      },
      abort: () => {
        end();
      },
    };
  }

  #store(signature: string, script: Script<B>): void {
    const before = this.#entries.get(signature);
    this.#entries.delete(signature);
    this.#entries.set(signature, { script, isTrusted: before?.script.equals(script) ?? false });
    if (before) this.#drop(before);
    if (this.#entries.size <= this.maxScripts) return;
    const [[oldest, unused]] = this.#entries;
    this.#entries.delete(oldest);
    this.#drop(unused);
  }

  #drop({ script }: Entry<B>): void {
    for (const { constant } of script.constants) this.#pool.drop(constant);
  }

  #signature({ owners, key, borrowed, consumed, replaced }: Computation<B>): string {
    const kinds = [borrowed, consumed, replaced].map((values) => {
      return values.map((value) => this.#textOf(value)).join(' ');
    });
    return [owners.map((owner) => this.#numberOf(owner)).join(), key, ...kinds].join('\n');
  }

  /** Type, shape and layout of a value. The texts of shapes are kept, because there are a thousand values, mostly with the same shapes. */
  #textOf(value: Value<B>): string {
    const { shape, dtype } = value;
    let text = this.#shapeTexts.get(shape);
    if (text === undefined) {
      text = `[${shape}]`;
      this.#shapeTexts.set(shape, text);
    }
    return dtype + text + layoutText(value);
  }

  #numberOf(owner: object): number {
    const number = this.#owners.get(owner) ?? this.#numOwners++;
    this.#owners.set(owner, number);
    return number;
  }
}

/** Whether all contents are known, differ, and can be replaced without a change to anything else. */
function canRepeat<B extends Buffer>(externals: readonly Value<B>[], replaced: readonly Value<B>[]): boolean {
  return (
    externals.every(({ buffer }) => buffer !== null) &&
    new Set(externals).size === externals.length &&
    replaced.every(({ handles, uses }) => handles === 1 && uses === 0)
  );
}
