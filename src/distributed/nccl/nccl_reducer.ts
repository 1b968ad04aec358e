/**
 * @file Sums gradients in the memory of GPUs, with NCCL.
 *
 * Sums run on a stream of their own, so that they go on while the engine's stream computes other gradients. Events
 * order the two: the sums of a bucket wait for the work that was queued on the engine's stream before they began, and
 * the engine's stream waits for the last sum. This was tested with stand-ins for CUDA and NCCL, and not on GPUs.
 */
import type { CudaDevice } from '../../engine/cuda/device/device.js';
import type { DeviceMemory } from '../../engine/lazy/value.js';
import type { Address } from '../../util/native/native.js';
import type { Reducer } from '../reducer.js';
import type { NcclCommunicator } from './nccl_communicator.js';

export class NcclReducer implements Reducer<DeviceMemory> {
  readonly #stream: Address;
  /** The end of the sums that were begun. */
  readonly #summed: Address;
  /** Events that no bucket uses. */
  readonly #free: Address[] = [];
  /** Memory of gradients stays until it is summed, also if the step ends with an error before. */
  #holds: (() => void)[] = [];
  /** The buckets are queued one after the other. */
  #queued: Promise<void> = Promise.resolve();
  #computed: Promise<void> = Promise.resolve();

  constructor(
    private readonly device: Pick<CudaDevice, 'driver' | 'stream'>,
    private readonly communicator: NcclCommunicator,
  ) {
    this.#stream = device.driver.createStream();
    this.#summed = device.driver.createEvent();
  }

  accepts(gradient: unknown): gradient is DeviceMemory {
    return typeof gradient === 'object' && gradient !== null && 'address' in gradient;
  }

  begin(gradients: readonly DeviceMemory[]): void {
    const { driver, stream } = this.device;
    this.#holds.push(...gradients.map((gradient) => gradient.hold()));
    const computed = this.#free.pop() ?? driver.createEvent();
    driver.recordEvent(computed, stream);
    this.#queued = this.#queued.then(async () => {
      driver.waitForEvent(this.#stream, computed);
      this.#free.push(computed);
      await this.communicator.sum(gradients, this.#stream);
    });
    // `finish` reports the error.
    this.#queued.catch(() => {});
  }

  async finish(): Promise<void> {
    const { driver, stream } = this.device;
    await this.#queued;
    driver.recordEvent(this.#summed, this.#stream);
    driver.waitForEvent(stream, this.#summed);
    const holds = this.#holds.splice(0);
    this.#computed = this.communicator
      .until(() => driver.isEventDone(this.#summed))
      .then(() => {
        for (const letGo of holds) letGo();
      });
    // `settle` reports the error.
    this.#computed.catch(() => {});
  }

  settle(): Promise<void> {
    return this.#computed;
  }

  async close(): Promise<void> {
    const { driver } = this.device;
    await this.communicator.close();
    for (const event of [this.#summed, ...this.#free.splice(0)]) driver.destroyEvent(event);
    driver.destroyStream(this.#stream);
  }
}
