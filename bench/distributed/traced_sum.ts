/** @file Notes when the gradients of a step are ready and when they are summed. Training itself takes no such notes. */
import { performance } from 'node:perf_hooks';
import type { Communicator, Numbers, ReduceOp } from '../../src/distributed/communicator.js';
import { GradientSum } from '../../src/distributed/gradient_sum.js';
import type { HostGradient } from '../../src/distributed/host_reducer.js';
import type { NativeFloats } from '../../src/util/native/native.js';
import type { Variant } from '../../tools/scaling/measurements.js';
import type { SumTrace } from './step_times.js';

const now = () => (performance.timeOrigin + performance.now()) / 1000;

/** Notes when the processes have agreed on the loss, which is when the backward pass begins. */
export class TracedCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  lossChecked = 0;
  /** Number of reductions in this step. */
  calls = 0;

  constructor(private readonly inner: Communicator) {
    this.rank = inner.rank;
    this.size = inner.size;
  }

  /** Begins a step. */
  begin(): void {
    this.lossChecked = 0;
    this.calls = 0;
  }

  async allReduce(numbers: Numbers | NativeFloats, op: ReduceOp): Promise<void> {
    this.calls++;
    await this.inner.allReduce(numbers, op);
    // The first operation of a step compares which processes have a loss that is not finite.
    this.lossChecked ||= now();
  }

  allReduceNow(numbers: Numbers, op: ReduceOp): void {
    this.inner.allReduceNow(numbers, op);
  }

  broadcast(bytes: Uint8Array, root: number): Promise<void> {
    return this.inner.broadcast(bytes, root);
  }

  gather(bytes: Uint8Array): Promise<Uint8Array[] | null> {
    return this.inner.gather(bytes);
  }

  barrier(): Promise<void> {
    return this.inner.barrier();
  }
}

export class TracedSum extends GradientSum<HostGradient> {
  #isHeld = false;
  readonly #held: (readonly [index: number, gradient: HostGradient])[] = [];
  #trace: SumTrace = { firstReady: 0, backwardEnd: 0, summed: 0 };

  get trace(): SumTrace {
    return this.#trace;
  }

  /** Begins a step. */
  begin(variant: Variant): void {
    this.#isHeld = variant === 'after';
    this.#trace = { firstReady: 0, backwardEnd: 0, summed: 0 };
  }

  override add(index: number, gradient: HostGradient): void {
    if (this.#trace.firstReady === 0) this.#trace = { ...this.#trace, firstReady: now() };
    if (this.#isHeld) this.#held.push([index, gradient]);
    else super.add(index, gradient);
  }

  override async finish(rest: ReadonlyMap<number, HostGradient>): Promise<void> {
    const backwardEnd = now();
    for (const [index, gradient] of this.#held.splice(0)) super.add(index, gradient);
    await super.finish(rest);
    this.#trace = { ...this.#trace, backwardEnd, summed: now() };
  }
}
