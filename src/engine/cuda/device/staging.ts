/** @file Copies between the host and a GPU through pinned memory. */
import { type Address, viewMemory } from '../../../util/native/native.js';
import type { CudaDriver } from '../api/driver.js';
import type { Waiter } from './waiting.js';

/** Bytes of the pinned memory. A clip fits, so that an upload need not wait for work that is queued before it. */
const RING_BYTES = 64 * 2 ** 20;
/** Longer copies go in parts. */
const PART_BYTES = RING_BYTES / 4;
/** More copies than these do not wait in the ring, which bounds the number of events. */
const MAX_SLOTS = 1024;
/** Parts begin at multiples of so many bytes. */
const ALIGNMENT = 256;

/** The driver's functions that the copies need. */
export type CopyDriver = Pick<
  CudaDriver,
  | 'allocateHost'
  | 'freeHost'
  | 'copyToDevice'
  | 'copyToHost'
  | 'createEvent'
  | 'destroyEvent'
  | 'recordEvent'
  | 'isEventDone'
  | 'synchronizeEvent'
>;

/** A part of the ring that a copy uses. */
interface Slot {
  readonly start: number;
  readonly bytes: number;
  /** Follows the copy. */
  readonly event: Address;
  /** Takes the content, for a download; done at the latest when the slot is used again. */
  finish: (() => void) | null;
}

/** A ring of pinned memory. Each slot is used again after the copy that used it before. */
export class StagingRing {
  readonly #address: Address;
  readonly #bytes: Uint8Array;
  /** In the order of their copies. */
  readonly #slots: Slot[] = [];
  readonly #events: Address[] = [];
  #head = 0;

  constructor(
    private readonly driver: CopyDriver,
    private readonly stream: Address,
    private readonly size: { readonly ring: number; readonly part: number } = {
      ring: RING_BYTES,
      part: PART_BYTES,
    },
  ) {
    this.#address = driver.allocateHost(size.ring);
    this.#bytes = viewMemory(this.#address, size.ring);
  }

  /** Copies to the device. `bytes` may change as soon as this returns. */
  upload(to: Address, bytes: Uint8Array): void {
    for (const [begin, end] of this.#parts(bytes.length)) {
      const start = this.#reserve(end - begin);
      this.#bytes.set(bytes.subarray(begin, end), start);
      this.driver.copyToDevice(
        { address: to + begin, stream: this.stream },
        this.#address + start,
        end - begin,
      );
      this.#push(start, end - begin);
    }
  }

  /** Copies to the host, and waits for it. */
  downloadSync(from: Address, to: Uint8Array): void {
    for (const part of this.#parts(to.length)) this.#finish(this.#download(from, to, part));
  }

  /** Whether `download` queues copies of so many bytes at once, so that later work may overwrite the memory. */
  queuesAtOnce(bytes: number): boolean {
    return bytes <= this.size.ring / 2;
  }

  /**
   * Copies to the host. If `queuesAtOnce` is false, the memory of the device must stay as it is until the promise resolves.
   */
  async download(from: Address, to: Uint8Array, waiter: Waiter): Promise<void> {
    const slots: Slot[] = [];
    for (const part of this.#parts(to.length)) {
      // Half of the ring at most, so that other copies need not wait.
      if (slots.length * this.size.part >= this.size.ring / 2) await this.#wait(slots.shift()!, waiter);
      slots.push(this.#download(from, to, part));
    }
    for (const slot of slots) await this.#wait(slot, waiter);
  }

  dispose(): void {
    while (this.#slots.length > 0) this.#reuse(this.#slots.shift()!);
    for (const event of this.#events) this.driver.destroyEvent(event);
    this.driver.freeHost(this.#address);
  }

  #parts(length: number): [begin: number, end: number][] {
    const { part } = this.size;
    return Array.from({ length: Math.ceil(length / part) }, (_, i) => [
      i * part,
      Math.min(length, (i + 1) * part),
    ]);
  }

  #download(from: Address, to: Uint8Array, [begin, end]: readonly [number, number]): Slot {
    const start = this.#reserve(end - begin);
    const source = { address: from + begin, stream: this.stream };
    this.driver.copyToHost(this.#address + start, source, end - begin);
    const slot = this.#push(start, end - begin);
    slot.finish = () => to.set(this.#bytes.subarray(start, start + end - begin), begin);
    return slot;
  }

  /** Finds room for `bytes`, for which earlier copies may have to end first. Returns its offset. */
  #reserve(bytes: number): number {
    if (this.#head + bytes > this.size.ring) this.#head = 0;
    const start = this.#head;
    while (this.#isFirstDone() || this.#slots.length >= MAX_SLOTS) this.#reuse(this.#slots.shift()!);
    while (this.#slots.some((slot) => slot.start < start + bytes && start < slot.start + slot.bytes))
      this.#reuse(this.#slots.shift()!);
    return start;
  }

  #isFirstDone(): boolean {
    const [first] = this.#slots;
    return first !== undefined && first.finish === null && this.driver.isEventDone(first.event);
  }

  #push(start: number, bytes: number): Slot {
    const event = this.#events.pop() ?? this.driver.createEvent();
    this.driver.recordEvent(event, this.stream);
    const slot: Slot = { start, bytes, event, finish: null };
    this.#slots.push(slot);
    this.#head = Math.ceil((start + bytes) / ALIGNMENT) * ALIGNMENT;
    return slot;
  }

  async #wait(slot: Slot, waiter: Waiter): Promise<void> {
    // Another copy may have finished the slot meanwhile, and reused its event.
    await waiter.until(() => slot.finish === null || this.driver.isEventDone(slot.event));
    this.#finish(slot);
  }

  #finish(slot: Slot): void {
    if (!slot.finish) return;
    this.driver.synchronizeEvent(slot.event);
    slot.finish();
    slot.finish = null;
  }

  /** Waits for the copy of a slot that leaves the ring. */
  #reuse(slot: Slot): void {
    if (slot.finish) this.#finish(slot);
    else this.driver.synchronizeEvent(slot.event);
    this.#events.push(slot.event);
  }
}
