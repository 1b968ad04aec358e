/** @file Parameter and Module: named weights in PyTorch's order, names and layouts. */
import { tf } from '../engine/tfjs.js';
import { sizeOf } from '../formats/host_tensor.js';
import { Rng } from '../util/random.js';

/** Fills a new weight; `rng` belongs to this parameter alone. */
export type Initializer = (data: Float32Array, shape: readonly number[], rng: Rng) => void;

/** A trainable weight. It has its shape from the start, and memory on the engine once it is initialised. */
export class Parameter {
  /** Whether the parameter is trained. A frozen one gets no gradient, and the optimizer skips it. */
  requiresGrad = true;
  /** Gradient of the last backward pass, or null. The code that runs the backward pass owns it. */
  grad: tf.Tensor | null = null;
  #value: tf.Variable | null = null;

  constructor(
    readonly shape: readonly number[],
    readonly init: Initializer,
  ) {}

  get size(): number {
    return sizeOf(this.shape);
  }

  get isInitialized(): boolean {
    return this.#value !== null;
  }

  /** The weight on the engine. Throws if the parameter is not initialised. */
  get value(): tf.Variable {
    if (!this.#value) throw new Error('a parameter was used before it was initialised');
    return this.#value;
  }

  /** Copies `data` (row-major, PyTorch's layout) into the weight. Throws RangeError if the size is wrong. */
  set(data: Float32Array): void {
    if (data.length !== this.size) throw new RangeError(`${data.length} values for shape [${this.shape}]`);
    // The cpu engine uses the array itself, so it gets a copy.
    this.setTensor(tf.tensor(data.slice(), [...this.shape], 'float32'));
  }

  /** Makes a tensor of the weight's shape its value, and disposes it. */
  setTensor(tensor: tf.Tensor): void {
    if (this.#value) this.#value.assign(tensor);
    else this.#value = tf.variable(tensor, true);
    tensor.dispose();
  }

  dispose(): void {
    this.#value?.dispose();
    this.#value = null;
    this.grad?.dispose();
    this.grad = null;
  }
}

/** Types of buffers in a state dict. */
export type BufferType = 'float32' | 'int64';

/**
 * Numbers that belong to the state of a module but are not trained (a buffer of torch.nn.Module), such as running statistics. They
 * live on the host; the engine gets a copy when an operation needs them.
 */
export class StateBuffer {
  /** All numbers are whole if the type is int64. */
  readonly data: Float32Array;
  #value: tf.Variable | null = null;
  #isCurrent = false;

  constructor(
    readonly shape: readonly number[],
    readonly initial: number,
    readonly dtype: BufferType = 'float32',
  ) {
    this.data = new Float32Array(sizeOf(shape)).fill(initial);
  }

  get size(): number {
    return this.data.length;
  }

  /** The numbers on the engine. */
  get value(): tf.Variable {
    if (this.#value === null || !this.#isCurrent) {
      // The cpu engine uses the array itself, so it gets a copy.
      const tensor = tf.tensor(this.data.slice(), [...this.shape], 'float32');
      if (this.#value) this.#value.assign(tensor);
      else this.#value = tf.variable(tensor, false);
      tensor.dispose();
      this.#isCurrent = true;
    }
    return this.#value;
  }

  /** Copies `data` into the buffer. Throws RangeError if the size is wrong. */
  set(data: ArrayLike<number>): void {
    if (data.length !== this.size) throw new RangeError(`${data.length} values for shape [${this.shape}]`);
    this.data.set(data);
    this.#isCurrent = false;
  }

  /** Replaces each number by `f` of it, rounded to float32. */
  update(f: (old: number, index: number) => number): void {
    for (let i = 0; i < this.data.length; i++) this.data[i] = f(this.data[i], i);
    this.#isCurrent = false;
  }

  dispose(): void {
    this.#value?.dispose();
    this.#value = null;
  }
}

type Child = Parameter | StateBuffer | Module;

/**
 * A part of the network. Its children are the fields that hold a Parameter, a StateBuffer, a Module or an array of modules.
 * Subclasses declare these fields in PyTorch's order.
 */
export abstract class Module {
  /** Whether drop path and dropout are active. */
  training = true;

  /** Yields the direct children with their names, in PyTorch's order. */
  protected *children(): Generator<[string, Child]> {
    // A training step goes through all modules, and Object.entries would take twice the time.
    for (const name of Object.keys(this)) {
      const field = this[name as keyof this] as unknown;
      if (field instanceof Parameter || field instanceof Module || field instanceof StateBuffer)
        yield [name, field];
      else if (Array.isArray(field)) {
        for (const [i, item] of field.entries()) {
          if (item instanceof Parameter || item instanceof Module) yield [`${name}.${i}`, item];
        }
      }
    }
  }

  /** Yields all parameters with their full names, e.g. `backbone.blocks.0.attn.qkv.weight`. */
  *namedParameters(prefix = ''): Generator<[string, Parameter]> {
    for (const [name, entry] of this.namedState(prefix)) if (entry instanceof Parameter) yield [name, entry];
  }

  /** Yields the entries of the state dict with their full names: parameters and buffers. */
  *namedState(prefix = ''): Generator<[string, Parameter | StateBuffer]> {
    const found: [string, Parameter | StateBuffer][] = [];
    this.#collect(prefix, found);
    yield* found;
  }

  // Nested generators would take twice the time, and a training step goes through all parameters.
  #collect(prefix: string, found: [string, Parameter | StateBuffer][]): void {
    for (const [name, child] of this.children()) {
      if (child instanceof Module) child.#collect(`${prefix}${name}.`, found);
      else found.push([prefix + name, child]);
    }
  }

  /** The buffers that a forward pass reads on the engine in the present mode. */
  buffersInUse(): StateBuffer[] {
    return Array.from(this.children(), ([, child]) =>
      child instanceof Module ? child.buffersInUse() : [],
    ).flat();
  }

  /** Yields this module and all below it, in PyTorch's order. */
  *modules(): Generator<Module> {
    yield this;
    for (const [, child] of this.children()) if (child instanceof Module) yield* child.modules();
  }

  parameters(): Parameter[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** A text that differs if another part of the network is in training mode. */
  modes(): string {
    let text = this.training ? '1' : '0';
    for (const [, child] of this.children()) if (child instanceof Module) text += child.modes();
    return text;
  }

  /** Sets this module and all below it to training mode (default) or evaluation mode. */
  train(mode = true): this {
    this.training = mode;
    for (const [, child] of this.children()) if (child instanceof Module) child.train(mode);
    return this;
  }

  dispose(): void {
    for (const [, entry] of this.namedState()) entry.dispose();
  }
}

/** The entries of a state dict with their names. */
export type NamedState = Iterable<readonly [name: string, entry: Parameter | StateBuffer]>;

/** The numbers of an entry of a state dict. */
export async function numbersOf(entry: Parameter | StateBuffer): Promise<Float32Array> {
  return entry instanceof StateBuffer ? entry.data : ((await entry.value.data()) as Float32Array);
}

/** Initialises every parameter that has no value. The value depends only on the seed and the parameter's name. */
export function initializeParameters(module: Module, seed: number): void {
  for (const [name, parameter] of module.namedParameters()) {
    if (parameter.isInitialized) continue;
    const data = new Float32Array(parameter.size);
    parameter.init(data, parameter.shape, Rng.forName(seed, name));
    parameter.set(data);
  }
}
