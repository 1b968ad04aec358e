/** @file Contents on the host, and the constants that captured scripts share. */
import { Buffer as Bytes } from 'node:buffer';
import { bytesOf } from '../../util/bytes.js';
import type { Buffer, ValueInfo } from './value.js';

/** The content of a value on the host: float32, int32, and bool as 0 and 1. */
export type HostContent = Float32Array | Int32Array | Uint8Array;

/** Moves contents between the host and an engine's buffers. */
export interface HostMemory<B extends Buffer> {
  /** Makes a buffer with this content. */
  write(info: ValueInfo, content: HostContent): B;
  /** Makes a buffer with a content that does not change as long as the buffer lives. */
  lend(info: ValueInfo, content: HostContent): B;
  /** Returns a copy of a buffer's content. */
  read(buffer: B): HostContent | Promise<HostContent>;
}

/** A content that scripts use in every run. */
export class Constant<B extends Buffer> {
  #buffer: B | null = null;
  users = 0;

  constructor(
    readonly info: ValueInfo,
    readonly content: HostContent,
    private readonly memory: HostMemory<B>,
  ) {}

  /** The content on the engine, made at the first use. */
  get buffer(): B {
    this.#buffer ??= this.memory.write(this.info, this.content);
    return this.#buffer;
  }

  get isOnEngine(): boolean {
    return this.#buffer !== null;
  }

  release(): void {
    this.#buffer?.release();
    this.#buffer = null;
  }
}

/** The constants of all scripts. Constants with equal bits are one object. */
export class ConstantPool<B extends Buffer> {
  readonly #byKey = new Map<string, Constant<B>[]>();

  constructor(private readonly memory: HostMemory<B>) {}

  /** Number of constants with a buffer on the engine. */
  get numBuffers(): number {
    return [...this.#byKey.values()].flat().filter(({ isOnEngine }) => isOnEngine).length;
  }

  /** Returns the constant of this content; `content` must not change afterwards. `drop` ends the use. */
  use(info: ValueInfo, content: HostContent): Constant<B> {
    const key = keyOf(info, content);
    const same = this.#byKey.get(key) ?? [];
    let constant = same.find((other) => equalBits(other.content, content));
    if (!constant) {
      constant = new Constant(info, content, this.memory);
      this.#byKey.set(key, [...same, constant]);
    }
    constant.users++;
    return constant;
  }

  drop(constant: Constant<B>): void {
    constant.users--;
    if (constant.users > 0) return;
    constant.release();
    const key = keyOf(constant.info, constant.content);
    const others = (this.#byKey.get(key) ?? []).filter((other) => other !== constant);
    if (others.length > 0) this.#byKey.set(key, others);
    else this.#byKey.delete(key);
  }
}

/** Differs for most contents. A few bytes are enough to tell scalars apart; the others are compared bit by bit. */
function keyOf({ shape, dtype }: ValueInfo, content: HostContent): string {
  return `${dtype}[${shape}] ${bytesOf(content).subarray(0, 16).join()}`;
}

function equalBits(a: HostContent, b: HostContent): boolean {
  return Bytes.compare(bytesOf(a), bytesOf(b)) === 0;
}
