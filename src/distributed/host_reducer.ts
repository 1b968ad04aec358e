/** @file Sums gradients in the memory of the host, over MPI. */
import { NativeFloats } from '../util/native/native.js';
import type { Communicator } from './communicator.js';
import type { Reducer } from './reducer.js';

/** A gradient of at least so many numbers is summed where it is; smaller ones are copied into the memory of their bucket. */
const DIRECT_LENGTH = 2 ** 16;

/** A gradient in the memory of the host. */
export type HostGradient = Float32Array | NativeFloats;

export class HostReducer implements Reducer<HostGradient> {
  #sums: Promise<void>[] = [];
  /** Memory of the buckets, which is the same in every step: new memory would bring the garbage collector each time. */
  readonly #buffers: Float32Array[] = [];
  #numUsed = 0;

  constructor(private readonly communicator: Communicator) {}

  accepts(gradient: unknown): gradient is HostGradient {
    return gradient instanceof Float32Array || gradient instanceof NativeFloats;
  }

  begin(gradients: readonly HostGradient[]): void {
    const small = gradients.filter(({ length }) => length < DIRECT_LENGTH);
    for (const gradient of gradients)
      if (gradient.length >= DIRECT_LENGTH) this.#watch(this.communicator.allReduce(gradient, 'sum'));
    if (small.length > 0) this.#watch(this.#sumTogether(small));
  }

  async finish(): Promise<void> {
    await Promise.all(this.#sums.splice(0));
    this.#numUsed = 0;
  }

  async settle(): Promise<void> {}

  async close(): Promise<void> {}

  #watch(sum: Promise<void>): void {
    // `finish` reports the error.
    sum.catch(() => {});
    this.#sums.push(sum);
  }

  async #sumTogether(gradients: readonly HostGradient[]): Promise<void> {
    const buffer = this.#nextBuffer(gradients.reduce((length, gradient) => length + gradient.length, 0));
    let end = 0;
    const parts = gradients.map((gradient) => {
      end += gradient.length;
      return { gradient, part: buffer.subarray(end - gradient.length, end) };
    });
    for (const { gradient, part } of parts) {
      if (gradient instanceof NativeFloats) gradient.read(part);
      else part.set(gradient);
    }
    await this.communicator.allReduce(buffer, 'sum');
    for (const { gradient, part } of parts) {
      if (gradient instanceof NativeFloats) gradient.write(part);
      else gradient.set(part);
    }
  }

  #nextBuffer(length: number): Float32Array {
    const index = this.#numUsed++;
    if (this.#buffers[index]?.length !== length) this.#buffers[index] = new Float32Array(length);
    return this.#buffers[index];
  }
}
