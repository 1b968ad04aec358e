/** @file The arguments of a kernel, packed as cuLaunchKernel takes them. */
import { type Address, addressOf } from '../../../util/native/native.js';

/** The most bytes that a kernel's arguments may have on all GPUs. */
const CAPACITY = 4096;

/** Keys of the list `extra`. */
const POINTER = 1;
const SIZE = 2;

/** A buffer of 8-byte arguments: pointers, or the numbers of one struct. cuLaunchKernel copies it, so one serves all launches. */
export class ArgumentBuffer {
  readonly #words = new Int32Array(new ArrayBuffer(CAPACITY));
  readonly #size = new BigUint64Array(new ArrayBuffer(8));
  readonly #extra = new BigUint64Array(new ArrayBuffer(8 * 5));
  #length = 0;
  /** Address of the list that cuLaunchKernel takes as `extra`. */
  readonly extra: Address;

  constructor() {
    const [words, size] = [addressOf(this.#words), addressOf(this.#size)];
    this.#extra.set([POINTER, words, SIZE, size, 0].map(BigInt));
    this.extra = addressOf(this.#extra);
  }

  /** Bytes of the arguments. */
  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    this.#size[0] = 0n;
  }

  /** Appends a pointer, or an integer of at most 53 bits, as 8 bytes. Throws RangeError beyond 4,096 bytes. */
  push(value: number): void {
    if (this.#length === CAPACITY)
      throw new RangeError(`a kernel has more than ${CAPACITY} bytes of arguments`);
    const word = this.#length / 4;
    // Both halves by 32-bit conversion: a BigInt would be garbage for each argument.
    this.#words[word] = value;
    this.#words[word + 1] = Math.floor(value / 2 ** 32);
    this.#length += 8;
    this.#size[0] = BigInt(this.#length);
  }

  /** The arguments as they are packed, for tests. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer, 0, this.#length);
  }
}
