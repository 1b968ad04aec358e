/**
 * @file Programs: computations that an engine records at first, and later runs from a captured script, without tfjs.
 *
 * Whoever begins a program records its operations, or feeds and reads the script, as `isReplay` says.
 */
import { sizeOf } from '../formats/host_tensor.js';
import type { NativeFloats } from '../util/native/native.js';
import type { HostContent } from './lazy/host_memory.js';
import { ScriptRun } from './lazy/script_run.js';
import type { Recording, Scripts } from './lazy/scripts.js';
import type { Buffer, DeviceMemory, Value, ValueInfo } from './lazy/value.js';
import { tf } from './tfjs.js';

/** A tfjs backend that captures scripts. */
export interface ScriptBackend<B extends Buffer> {
  readonly scripts: Scripts<B>;
  /** Makes a tensor's data from a content that may differ when a script runs. */
  feed(content: HostContent, info: ValueInfo): object;
  /** Makes a tensor's data of a buffer, and owns it. */
  adopt(buffer: B, info: ValueInfo): object;
  graphValue(dataId: object): Value<B>;
  /** Computes all tensors. */
  sync(): Promise<void>;
}

export interface ProgramOptions {
  /** The objects that the program belongs to, such as a model. */
  readonly owners: readonly object[];
  /** Everything else that determines the operations, apart from the shapes of the tensors below. */
  readonly key: string;
  /** Tensors that the program only reads. All others that it uses must be feeds, or have the same content each time. */
  readonly borrowed?: readonly tf.Tensor[];
  /** Tensors that the program disposes, or returns as a result. */
  readonly consumed?: readonly tf.Tensor[];
  /** Tensors that get new contents, such as variables. */
  readonly replaced?: readonly tf.Tensor[];
}

/** The end of a recorded program. */
export interface ProgramOutcome {
  /** The tensors that stand for those in `replaced`, in their order. */
  readonly replaced?: readonly tf.Tensor[];
  /** The results; null for none. */
  readonly made?: readonly (tf.Tensor | null)[];
  /** What the host did, so that a replay can do the same. */
  readonly notes?: string;
  /** How many tensors came from `feed`, and how many were read. */
  readonly feeds: number;
  readonly reads: number;
}

/** The numbers of a float32 tensor where the engine has them; null if nothing else can reach them. */
export type TensorNumbers = NativeFloats | DeviceMemory | null;

export type OnMade = (result: number, numbers: TensorNumbers) => void;

/** A program whose operations are recorded. */
export interface RecordedProgram {
  readonly isReplay: false;
  finish(outcome: ProgramOutcome): void;
  /** Forgets the capture. Does nothing after `finish`. */
  abort(): void;
}

/** A program that runs from a script. After an error it has ended. */
export interface ReplayedProgram {
  readonly isReplay: true;
  readonly notes: string;
  /** Gives the content of the next feed, which must not change before the program ends. */
  feed(content: Float32Array): void;
  /** Runs up to the next read and returns it, without blocking this thread. */
  read(): Promise<Float32Array>;
  /**
   * Runs the rest and returns the results. `onMade` is called with the number of a result as soon as nothing uses it any more, and
   * with its numbers, which may be changed from then on; those of a GPU by work behind that which is queued.
   */
  finish(onMade?: OnMade): Promise<(tf.Tensor | null)[]>;
  /** Releases what the program holds. Does nothing after `finish`. */
  abort(): void;
}

const NOT_CAPTURED: RecordedProgram = { isReplay: false, finish() {}, abort() {} };

function scriptBackend(): ScriptBackend<Buffer> | null {
  const backend = tf.backend() as unknown as Partial<ScriptBackend<Buffer>>;
  return backend.scripts ? (backend as ScriptBackend<Buffer>) : null;
}

/**
 * Makes a float32 tensor of host numbers that may differ each time a program runs. The numbers must not change as long as the
 * tensor lives. Within a program, all other tensors of host numbers must have the same content each time.
 */
export function feed(content: Float32Array, shape: readonly number[]): tf.Tensor {
  const backend = scriptBackend();
  if (!backend) return tf.tensor(content, [...shape], 'float32');
  tf.util.assert(content.length === sizeOf(shape), () => `${content.length} numbers for shape [${shape}]`);
  const info = { shape: [...shape], dtype: 'float32' as const };
  return tensorOf(backend.feed(content, info), info);
}

/**
 * Computes tensors, or queues that, and returns the numbers of each, which may be changed as long as the tensor lives and nothing
 * else uses it.
 */
export async function numbersOf(tensors: readonly tf.Tensor[]): Promise<TensorNumbers[]> {
  const backend = scriptBackend();
  if (!backend) return tensors.map(() => null);
  await backend.sync();
  return tensors.map(({ dataId }) => numbersIn(backend.graphValue(dataId).buffer));
}

function numbersIn(buffer: Buffer | null): TensorNumbers {
  return buffer?.hostMemory?.() ?? buffer?.deviceMemory?.() ?? null;
}

/**
 * Begins a program. With `isEnabled`, it is captured if the engine can do that, and runs from its script once two captures in a
 * row have been equal. It must end with `finish` or `abort`.
 */
export function beginProgram(options: ProgramOptions, isEnabled: boolean): RecordedProgram | ReplayedProgram {
  const backend = isEnabled ? scriptBackend() : null;
  if (!backend) return NOT_CAPTURED;
  const valuesOf = (tensors: readonly tf.Tensor[] = []) =>
    tensors.map(({ dataId }) => backend.graphValue(dataId));
  const { owners, key, consumed = [] } = options;
  const begun = backend.scripts.begin({
    owners,
    key,
    borrowed: valuesOf(options.borrowed),
    consumed: valuesOf(consumed),
    replaced: valuesOf(options.replaced),
    release: (i) => consumed[i].dispose(),
  });
  if (!begun) return NOT_CAPTURED;
  return begun instanceof ScriptRun ? replayed(begun, backend, options) : recorded(begun, backend);
}

function recorded(recording: Recording<Buffer>, backend: ScriptBackend<Buffer>): RecordedProgram {
  const valueBehind = ({ dataId }: tf.Tensor) => backend.graphValue(dataId);
  return {
    isReplay: false,
    finish: ({ replaced = [], made = [], notes = '', feeds, reads }) =>
      recording.finish({
        replaced: replaced.map(valueBehind),
        made: made.map((tensor) => tensor && { value: valueBehind(tensor), view: tensor.shape }),
        notes,
        feeds,
        reads,
      }),
    abort: () => recording.abort(),
  };
}

function replayed(
  run: ScriptRun<Buffer>,
  backend: ScriptBackend<Buffer>,
  { borrowed = [], consumed = [] }: ProgramOptions,
): ReplayedProgram {
  const { notes, made } = run.script.content;
  return {
    isReplay: true,
    notes,
    feed: (content) => run.feed(content),
    read: async () => (await run.read()) as Float32Array,
    finish: async (onMade) => {
      const buffers = await run.finish(onMade && ((result, buffer) => onMade(result, numbersIn(buffer))));
      return made.map(({ slot, info, view }, i) => {
        const buffer = buffers[i];
        if (buffer) return tensorOf(backend.adopt(buffer, info), { ...info, shape: view });
        return consumed[slot - borrowed.length] ?? null;
      });
    },
    abort: () => run.abort(),
  };
}

function tensorOf(dataId: object, info: ValueInfo): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo({ ...info, shape: [...info.shape], dataId });
}
