/** @file Sums the gradients of all processes, from the memory of the engine where the host can reach it. */
import type { GradientSum } from '../distributed/gradient_sum.js';
import { feed, hostMemoryOf } from '../engine/programs.js';
import type { Parameter } from '../nn/module.js';

/** The sum of the gradients of one step, over all processes. */
export class GradientExchange {
  readonly #added = new Set<number>();

  constructor(
    private readonly sum: GradientSum,
    private readonly parameters: readonly Parameter[],
  ) {}

  /** Takes the content of the gradient of parameter `index` as soon as it is computed, unless the host cannot reach it. */
  add(index: number, memory: Float32Array | null): void {
    if (memory === null) return;
    this.#added.add(index);
    this.sum.add(index, memory);
  }

  /** Adds all gradients that are not added yet, and resolves when the gradients of the parameters are the sums. */
  async finish(): Promise<void> {
    const left = [...this.parameters.entries()].flatMap(([index, { grad }]) =>
      grad && !this.#added.has(index) ? [{ index, grad }] : [],
    );
    const memories = await hostMemoryOf(left.map(({ grad }) => grad));
    const copies = new Map<number, Float32Array>();
    for (const [i, { index, grad }] of left.entries()) {
      const memory = memories[i];
      if (!memory) copies.set(index, Float32Array.from((await grad.data()) as Float32Array));
      this.add(index, memory ?? (copies.get(index) as Float32Array));
    }
    await this.sum.finish();
    for (const [index, numbers] of copies) {
      const parameter = this.parameters[index];
      parameter.grad?.dispose();
      parameter.grad = feed(numbers, parameter.shape);
    }
  }
}
