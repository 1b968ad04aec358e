/** @file What tfjs's tape lacks: custom gradients that free their temporaries, no-grad, activation checkpointing. */
import * as tf from '@tensorflow/tfjs';
import { markWork } from '../engine/lazy_hints.js';

type Save = (tensors: tf.Tensor[]) => void;

/**
 * Runs `forward` as one step of the tape. `backward(dy, saved)` gets what `forward` passed to `save` and returns one
 * gradient per input, in order; its temporaries are freed at once. Inputs must be float tensors: integer operands
 * belong into the closure and, since they must outlive the forward pass, into `save`.
 */
export function differentiable(
  inputs: tf.Tensor[],
  forward: (save: Save) => tf.Tensor,
  backward: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[],
): tf.Tensor {
  return tf.customGrad((...args) => ({
    value: forward(args[args.length - 1] as unknown as Save),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.tidy(() => backward(dy, saved)),
  }))(...inputs);
}

/**
 * x itself, at a place where a part of the network ends and another begins, named for measurements: an engine that works
 * ahead runs the parts one by one, forward and backward, and gives back the memory of each.
 */
export function boundary(x: tf.Tensor, before: string, after: string): tf.Tensor {
  return differentiable(
    [x],
    () => {
      markWork(after);
      return x.clone();
    },
    (dy) => {
      markWork(before);
      return [dy.clone()];
    },
  );
}

/** Runs `compute` without recording it: its results are constants to the tape, as under `torch.no_grad()`. */
export function noGrad<T>(compute: () => T): T {
  // The tape records at kernel depth 0 only, so this is how tfjs's own kernels stay off it.
  const { state } = tf.engine();
  state.kernelDepth++;
  try {
    return compute();
  } finally {
    state.kernelDepth--;
  }
}

/** One recorded operation, as tfjs's tape holds it; `inputs` may be an array. */
interface TapeNode {
  kernelName: string;
  inputs: Record<string, tf.Tensor>;
  outputs: tf.Tensor[];
  saved?: tf.Tensor[];
  gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

/** Runs `f` with a tape of its own, whether or not another one is active. */
function record(f: () => tf.Tensor): { y: tf.Tensor; tape: TapeNode[] } {
  const { state } = tf.engine();
  const outer = state.activeTape;
  const tape: TapeNode[] = [];
  state.activeTape = tape as unknown as typeof outer;
  state.gradientDepth++;
  try {
    return { y: tf.tidy(f), tape };
  } catch (error) {
    release(tape);
    throw error;
  } finally {
    state.gradientDepth--;
    state.activeTape = outer;
  }
}

function release(tape: readonly TapeNode[]): void {
  for (const { saved } of tape) if (saved) tf.dispose(saved);
}

/**
 * The value of `f` and the gradients of `sum(f() · dy)`, null where it does not depend on one of `xs`. Unlike
 * tf.grads this frees what an operation saved, and the gradient of its result, as soon as it has been differentiated,
 * which more than halves the peak of memory.
 */
function differentiate(
  f: () => tf.Tensor,
  xs: readonly tf.Tensor[],
  dy?: tf.Tensor,
): { value: tf.Tensor; grads: (tf.Tensor | null)[] } {
  return tf.tidy(() => {
    const { y, tape } = record(f);
    const grads = walkBack(y, tape, xs, dy ? dy.clone() : tf.onesLike(y));
    // The type of a tidy's result does not know null, its code does.
    return { value: y, grads: grads as tf.Tensor[] };
  });
}

/**
 * The gradients of `sum(y · dy)` added to `sums`, where there are any, from the end of the tape to its beginning. Consumes
 * the tape, dy and the sums.
 */
function walkBack(
  y: tf.Tensor,
  tape: TapeNode[],
  xs: readonly tf.Tensor[],
  dy: tf.Tensor,
  sums: readonly (tf.Tensor | null)[] = [],
): (tf.Tensor | null)[] {
  const wanted = new Set(xs.map((x) => x.id));
  const dependent = new Set(wanted);
  for (const { inputs, outputs } of tape) {
    if (Object.values(inputs).some((x) => dependent.has(x.id))) for (const z of outputs) dependent.add(z.id);
  }
  const gradients = new Map([[y.id, dy]]);
  for (const [i, sum] of sums.entries()) if (sum) gradients.set(xs[i].id, sum);
  for (let node = tape.pop(); node; node = tape.pop()) {
    const dys = node.outputs.map((z) => gradients.get(z.id) ?? null);
    try {
      if (dys.some((d) => d) && node.outputs.some((z) => dependent.has(z.id)))
        propagate(node, dys, dependent, gradients);
    } finally {
      release([node]);
    }
    for (const [i, z] of node.outputs.entries()) {
      if (wanted.has(z.id)) continue;
      dys[i]?.dispose();
      gradients.delete(z.id);
    }
  }
  return xs.map((x) => gradients.get(x.id) ?? null);
}

/**
 * A computation whose gradients are asked for later, so that its value can be awaited in between; outside any tf.tidy.
 * Either `backward` or `dispose` ends it.
 */
export class Recording {
  readonly value: tf.Tensor;
  readonly #tape: TapeNode[];

  constructor(f: () => tf.Tensor) {
    const { y, tape } = record(f);
    this.value = y;
    this.#tape = tape;
  }

  /**
   * The gradients of `sum(value · dy)` with respect to `xs`, null where it does not depend on one, added to `sums`, which
   * this consumes. The caller disposes dy and the gradients.
   */
  backward(
    dy: tf.Tensor,
    xs: readonly tf.Tensor[],
    sums?: readonly (tf.Tensor | null)[],
  ): (tf.Tensor | null)[] {
    try {
      return tf.tidy(() => walkBack(this.value, this.#tape, xs, dy.clone(), sums) as tf.Tensor[]);
    } finally {
      this.dispose();
    }
  }

  /** Frees the value and what the tape still holds. */
  dispose(): void {
    this.value.dispose();
    release(this.#tape.splice(0));
  }
}

/** Adds the gradients of a node's inputs to `gradients`, where they lead to something that is asked for. */
function propagate(
  { kernelName, inputs, saved = [], gradient }: TapeNode,
  dys: (tf.Tensor | null)[],
  dependent: ReadonlySet<number>,
  gradients: Map<number, tf.Tensor>,
): void {
  if (!gradient) throw new Error(`${kernelName} has no gradient`);
  const targets = Object.entries(inputs).filter(([, x]) => dependent.has(x.id));
  const found = tf.tidy(() => {
    const terms = gradient(dys);
    return targets.map(([name]) => terms[name]());
  });
  // A gradient may be passed on as it is, or to two inputs; every entry of the map is disposed by itself.
  const shared = new Set([...dys, ...saved]);
  for (const [i, [, x]] of targets.entries()) {
    tf.util.assertShapesMatch(found[i].shape, x.shape, `gradient of ${kernelName}: `);
    const dx = shared.has(found[i]) ? found[i].clone() : found[i];
    shared.add(found[i]);
    const sum = gradients.get(x.id);
    gradients.set(x.id, sum ? sum.add(dx) : dx);
    if (sum) tf.dispose([sum, dx]);
  }
}

/**
 * Gradients of a scalar loss with respect to `variables`: tensors in their order, null where the loss does not depend
 * on one. The caller disposes the loss and the gradients.
 */
export function backward(
  loss: () => tf.Scalar,
  variables: tf.Tensor[],
): { value: tf.Scalar; grads: (tf.Tensor | null)[] } {
  const { value, grads } = differentiate(loss, variables);
  return { value: value as tf.Scalar, grads };
}

/**
 * Activation checkpointing: computes `f(x)` keeping only `x` and `constants`, and computes it again in the backward
 * pass. `parameters` are the weights that `f` uses; `constants` (masks) are handed to it.
 */
export function checkpoint(
  f: (x: tf.Tensor, constants: tf.Tensor[]) => tf.Tensor,
  x: tf.Tensor,
  parameters: tf.Tensor[],
  constants: tf.Tensor[] = [],
): tf.Tensor {
  return differentiable(
    [x, ...parameters],
    (save) => {
      save([x, ...constants]);
      return f(x, constants);
    },
    (dy, [input, ...saved]) => {
      const inputs = [input, ...parameters];
      const { grads } = differentiate(() => f(input, saved), inputs, dy);
      return grads.map((grad, i) => grad ?? tf.zerosLike(inputs[i]));
    },
  );
}
