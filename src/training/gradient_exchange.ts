/** @file Sums the gradients of all processes, where the engine has them. */
import type { GradientSum } from '../distributed/gradient_sum.js';
import { feed, numbersOf, type TensorNumbers } from '../engine/programs.js';
import type { tf } from '../engine/tfjs.js';
import type { Parameter } from '../nn/module.js';

/** The sum of the gradients of one step, over all processes. */
export class GradientExchange {
  readonly #added = new Set<number>();

  constructor(
    private readonly sum: GradientSum,
    private readonly parameters: readonly Parameter[],
  ) {}

  /** Takes the gradient of parameter `index` as soon as it is computed or queued, if it can be summed where it is. */
  add(index: number, numbers: TensorNumbers): void {
    if (!this.sum.accepts(numbers)) return;
    this.#added.add(index);
    this.sum.add(index, numbers);
  }

  /**
   * Adds all gradients that are not added yet, and resolves when the gradients of the parameters are the sums, or will
   * be for all that the engine computes from now on.
   */
  async finish(): Promise<void> {
    const left = [...this.parameters.entries()].flatMap(([index, { grad }]) =>
      grad && !this.#added.has(index) ? [{ index, grad }] : [],
    );
    const places = await numbersOf(left.map(({ grad }) => grad));
    const rest = new Map<number, unknown>();
    const copies = new Map<number, Float32Array>();
    for (const [i, { index, grad }] of left.entries()) {
      let numbers: unknown = places[i];
      if (!this.sum.accepts(numbers)) {
        numbers = Float32Array.from((await grad.data()) as Float32Array);
        if (this.sum.accepts(numbers)) copies.set(index, numbers as Float32Array);
        else numbers = await this.#moved(index, numbers as Float32Array);
      }
      rest.set(index, numbers);
    }
    await this.sum.finish(rest);
    for (const [index, numbers] of copies) this.#replace(index, numbers);
  }

  /** Resolves when the sums have been computed. Throws CommunicationError if they failed. */
  settle(): Promise<void> {
    return this.sum.settle();
  }

  /** Stores a gradient as float32 on the GPU, where the engine had it in another type. */
  async #moved(index: number, numbers: Float32Array): Promise<TensorNumbers> {
    const [place] = await numbersOf([this.#replace(index, numbers)]);
    if (!this.sum.accepts(place)) throw new Error(`the gradient of parameter ${index} cannot be summed`);
    return place;
  }

  #replace(index: number, numbers: Float32Array): tf.Tensor {
    const parameter = this.parameters[index];
    parameter.grad?.dispose();
    parameter.grad = feed(numbers, parameter.shape);
    return parameter.grad;
  }
}
