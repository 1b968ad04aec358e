/** @file Communicators of several processes that are functions of one process, for tests without MPI. */
import type { Communicator, Numbers, ReduceOp } from '../../src/distributed/communicator.js';
import { NativeFloats } from '../../src/util/native/native.js';

/** One collective operation that waits for all processes. */
interface Meeting {
  readonly label: string;
  readonly given: unknown[];
  arrived: number;
  readonly done: Promise<void>;
  finish(): void;
}

/** Runs `work` as `size` processes at once, and returns their results by rank. */
export async function inProcesses<T>(
  size: number,
  work: (communicator: Communicator) => Promise<T>,
): Promise<T[]> {
  const group = new Group(size);
  return await Promise.all(Array.from({ length: size }, (_, rank) => work(group.communicator(rank))));
}

function copyOf(memory: Numbers | NativeFloats): Numbers {
  if (!(memory instanceof NativeFloats)) return memory.slice();
  const copy = new Float32Array(memory.length);
  memory.read(copy);
  return copy;
}

/** Replaces numbers in an array or in native memory. */
export function changeNumbers(
  memory: Numbers | NativeFloats,
  change: (number: number, index: number) => number,
): void {
  const numbers = copyOf(memory).map(change);
  if (memory instanceof NativeFloats) memory.write(numbers as Float32Array);
  else memory.set(numbers);
}

/** Processes that meet in the order of their operations. */
class Group {
  readonly #meetings: Meeting[] = [];

  constructor(private readonly size: number) {}

  communicator(rank: number): Communicator {
    let next = 0;
    const meet = (label: string, given: unknown) => this.#meet(next++, label, { rank, given });
    return {
      rank,
      size: this.size,
      allReduceNow() {
        throw new Error('functions of one process cannot wait for each other');
      },
      allReduce: async (memory, op) => {
        const own = copyOf(memory);
        const all = (await meet(`all-reduce ${op} of ${own.length}`, own)) as Numbers[];
        changeNumbers(memory, (_, i) =>
          combined(
            op,
            all.map((numbers) => numbers[i]),
          ),
        );
      },
      broadcast: async (bytes, root) => {
        const all = (await meet(`broadcast of ${bytes.length} from ${root}`, bytes.slice())) as Uint8Array[];
        bytes.set(all[root]);
      },
      gather: async (bytes) => {
        const all = (await meet('gather', bytes.slice())) as Uint8Array[];
        return rank === 0 ? all : null;
      },
      barrier: async () => {
        await meet('barrier', null);
      },
    };
  }

  /** Waits for all processes, and returns what they have given. Throws Error if they do not do the same. */
  async #meet(
    number: number,
    label: string,
    { rank, given }: { readonly rank: number; readonly given: unknown },
  ): Promise<unknown[]> {
    this.#meetings[number] ??= newMeeting(label);
    const meeting = this.#meetings[number];
    if (meeting.label !== label)
      throw new Error(`process ${rank} does ${label}, and another one ${meeting.label}`);
    meeting.given[rank] = given;
    if (++meeting.arrived === this.size) meeting.finish();
    await meeting.done;
    return meeting.given;
  }
}

function newMeeting(label: string): Meeting {
  let finish = () => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return { label, given: [], arrived: 0, done, finish };
}

function combined(op: ReduceOp, numbers: readonly number[]): number {
  if (op === 'sum') return numbers.reduce((sum, x) => sum + x, 0);
  return op === 'max' ? Math.max(...numbers) : Math.min(...numbers);
}

/** The first of two processes, whose other one does the same. `first` replaces the first number of each sum of gradients. */
export function twin(first?: number): Communicator {
  const add = (memory: Numbers | NativeFloats, op: ReduceOp) => {
    if (op !== 'sum') return;
    const isGradient = memory instanceof NativeFloats || memory instanceof Float32Array;
    changeNumbers(memory, (number, i) => (isGradient && i === 0 && first !== undefined ? first : 2 * number));
  };
  return {
    rank: 0,
    size: 2,
    allReduce: async (memory, op) => add(memory, op),
    allReduceNow: add,
    async broadcast() {},
    gather: async () => null,
    async barrier() {},
  };
}
