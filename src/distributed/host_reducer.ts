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

  constructor(private readonly communicator: Communicator) {}

  accepts(gradient: unknown): gradient is HostGradient {
    return gradient instanceof Float32Array || gradient instanceof NativeFloats;
  }

  begin(gradients: readonly HostGradient[]): void {
    const small = gradients.filter(({ length }) => length < DIRECT_LENGTH);
    for (const gradient of gradients)
      if (gradient.length >= DIRECT_LENGTH) this.#watch(this.communicator.allReduce(gradient, 'sum'));
    const views = small.map((gradient) => (gradient instanceof NativeFloats ? gradient.view() : gradient));
    if (small.length > 0) this.#watch(this.#sumTogether(views));
  }

  async finish(): Promise<void> {
    await Promise.all(this.#sums.splice(0));
  }

  async settle(): Promise<void> {}

  async close(): Promise<void> {}

  #watch(sum: Promise<void>): void {
    // `finish` reports the error.
    sum.catch(() => {});
    this.#sums.push(sum);
  }

  async #sumTogether(gradients: readonly Float32Array[]): Promise<void> {
    const all = new Float32Array(gradients.reduce((length, gradient) => length + gradient.length, 0));
    let offset = 0;
    for (const gradient of gradients) {
      all.set(gradient, offset);
      offset += gradient.length;
    }
    await this.communicator.allReduce(all, 'sum');
    offset = 0;
    for (const gradient of gradients) {
      gradient.set(all.subarray(offset, offset + gradient.length));
      offset += gradient.length;
    }
  }
}
