/** @file Binds C functions with koffi. */
import koffi, { type LibraryHandle } from 'koffi';
import { EngineError } from '../../errors.js';
import { loadLibrary } from './load_library.js';

/** A native address or handle as a number, which holds addresses of 53 bits; 0 is null. */
export type Address = number;

export type NativeFunction = (...args: unknown[]) => unknown;

/** Functions of a library: names with the types of the parameters. */
export type Signatures<N extends string> = Readonly<Record<N, readonly string[]>>;

/** Loads a library from a path or by name. Throws EngineError. */
export function openLibrary(path: string): LibraryHandle {
  try {
    return loadLibrary(path);
  } catch (error) {
    throw new EngineError(`${path} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
}

/** Binds functions that return `result`. Throws EngineError if the library lacks one. */
export function bind<N extends string>(
  library: LibraryHandle,
  result: string,
  signatures: Signatures<N>,
): Record<N, NativeFunction> {
  const entries = Object.entries<readonly string[]>(signatures).map(([name, parameters]) => {
    try {
      return [name, library.func(name, result, [...parameters])];
    } catch (error) {
      throw new EngineError(`the library lacks the function ${name}; a newer version has it`, {
        cause: error,
      });
    }
  });
  return Object.fromEntries(entries) as Record<N, NativeFunction>;
}

/** A 64-bit variable that native code writes. The garbage collector does not move it. */
export class Out {
  readonly #words = new BigUint64Array(new ArrayBuffer(8));
  readonly #floats = new Float32Array(this.#words.buffer);
  readonly #integers = new Int32Array(this.#words.buffer);

  /** The argument for a pointer parameter. */
  get pointer(): BigUint64Array {
    return this.#words;
  }

  /** The content as an unsigned 64-bit number. */
  get value(): number {
    return Number(this.#words[0]);
  }

  set value(value: number) {
    this.#words[0] = BigInt(value);
  }

  get int32(): number {
    return this.#integers[0];
  }

  get float32(): number {
    return this.#floats[0];
  }
}

/** Bytes that native code reads or writes during a call, and that the garbage collector does not move. */
export function nativeBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The address of bytes from `nativeBytes`. */
export function addressOf(bytes: ArrayBufferView): Address {
  return Number(koffi.address(bytes));
}

/** Native memory as bytes. It must stay allocated for as long as they are used. */
export function viewMemory(address: Address, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(koffi.view(BigInt(address), length));
}

let memcpy: NativeFunction | null = null;

/** Copies between addresses and arrays. The C library must be part of the process, which it is not on Windows. */
function copyMemory(to: unknown, from: unknown, bytes: number): void {
  memcpy ??= bind(loadLibrary(null), 'void *', { memcpy: ['void *', 'const void *', 'size_t'] }).memcpy;
  memcpy(to, from, bytes);
}

/**
 * float32 numbers in native memory, which must stay allocated for as long as they are used. There are no views of them: the garbage
 * collector would count each view as so many bytes to collect.
 */
export class NativeFloats {
  constructor(
    readonly address: bigint,
    /** Number of elements. */
    readonly length: number,
  ) {}

  /** Copies all elements into an array of the same length. */
  read(into: Float32Array): void {
    copyMemory(into, this.address, into.byteLength);
  }

  /** Replaces all elements by those of an array of the same length. */
  write(from: Float32Array): void {
    copyMemory(this.address, from, from.byteLength);
  }

  /** The elements from `start` to before `end`, or to the last one, as of a typed array. */
  subarray(start: number, end: number): NativeFloats {
    return new NativeFloats(this.address + BigInt(4 * start), Math.min(end, this.length) - start);
  }
}

/** The text of bytes up to the first zero. */
export function cText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The C string at an address; null at address 0. */
export function textAt(address: Address): string | null {
  if (address === 0) return null;
  const pointer = new BigUint64Array(new ArrayBuffer(8));
  pointer[0] = BigInt(address);
  return koffi.decode(pointer, 'str') as string;
}
