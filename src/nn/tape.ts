/** @file Custom gradients, no-grad, activation checkpointing and a tape that frees memory early, on top of tfjs's tape. */
import { graphBreak } from '../engine/lazy_hints.js';
import { tf } from '../engine/tfjs.js';

type Save = (tensors: tf.Tensor[]) => void;

/**
 * Records `forward` as one operation of the tape. `vjp(dy, saved)` receives the tensors that `forward` passed to `save` and
 * returns one gradient per input, in order; its temporaries are freed at once. Inputs must be float tensors. `forward` takes
 * integer operands from its closure, and saves them if `vjp` needs them.
 */
export function differentiable(
  inputs: tf.Tensor[],
  forward: (save: Save) => tf.Tensor,
  vjp: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[],
): tf.Tensor {
  return tf.customGrad((...args) => ({
    value: forward(args[args.length - 1] as unknown as Save),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.tidy(() => vjp(dy, saved)),
  }))(...inputs);
}

/**
 * Returns x after a graph break between layers, in the forward and in the backward pass: a lazy engine runs the regions of the network
 * one by one and releases the memory of each. `before` and `after` name the two regions in the engine's statistics.
 */
export function withGraphBreak(
  x: tf.Tensor,
  { before, after }: { before: string; after: string },
): tf.Tensor {
  return differentiable(
    [x],
    () => {
      graphBreak(after, 'layer');
      return x.clone();
    },
    (dy) => {
      graphBreak(before, 'layer');
      return [dy.clone()];
    },
  );
}

/** Runs `compute` without recording it on the tape, as `torch.no_grad()` does. */
export function noGrad<T>(compute: () => T): T {
  // tfjs records operations only at kernel depth 0.
  const { state } = tf.engine();
  state.kernelDepth++;
  try {
    return compute();
  } finally {
    state.kernelDepth--;
  }
}

/** An operation on tfjs's tape; `inputs` may be an array. */
interface TapeNode {
  kernelName: string;
  inputs: Record<string, tf.Tensor>;
  outputs: tf.Tensor[];
  saved?: tf.Tensor[];
  /** The vector-Jacobian products of the inputs. */
  gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

type Gradients = (tf.Tensor | null)[];

/** Kernels that save inputs although their gradients need nothing but the shapes, which a disposed tensor still has. */
const SAVED_FOR_SHAPES: ReadonlySet<string> = new Set([
  'Add',
  'AddN',
  'Concat',
  'ExpandDims',
  'Mean',
  'Pack',
  'PadV2',
  'Reshape',
  'Slice',
  'Sub',
  'Sum',
]);

/**
 * The recorded operations of a computation, for its gradients. As soon as an operation has been differentiated, its saved
 * tensors and the gradient of its result are freed, which more than halves the peak memory of tf.grads. Use a tape outside of
 * any tf.tidy, and end it with `backward` or `dispose`.
 */
export class Tape {
  readonly value: tf.Tensor;
  readonly #nodes: TapeNode[];

  /** Runs `f` and records it here, even if another tape is active. */
  constructor(f: () => tf.Tensor) {
    const { state } = tf.engine();
    const outer = state.activeTape;
    const nodes: TapeNode[] = [];
    const push = (node: TapeNode) => {
      if (SAVED_FOR_SHAPES.has(node.kernelName)) release([node]);
      nodes.push(node);
    };
    // tfjs does nothing else with its tape.
    state.activeTape = { push } as unknown as typeof outer;
    state.gradientDepth++;
    try {
      this.value = tf.tidy(f);
      this.#nodes = nodes;
    } catch (error) {
      release(nodes);
      throw error;
    } finally {
      state.gradientDepth--;
      state.activeTape = outer;
    }
  }

  /**
   * Computes the gradients of `sum(value · dy)` with respect to `xs` and adds them to `sums`, which are consumed. A gradient
   * is null if the value does not depend on that tensor. Disposes the value; the caller disposes dy and the gradients.
   */
  backward(dy: tf.Tensor, xs: readonly tf.Tensor[], sums?: Readonly<Gradients>): Gradients {
    try {
      return this.vjp(dy, xs, sums);
    } finally {
      this.value.dispose();
    }
  }

  /** Like `backward`, but does not dispose the value, which may be one of the inputs of `f`. */
  vjp(dy: tf.Tensor, xs: readonly tf.Tensor[], sums: Readonly<Gradients> = []): Gradients {
    try {
      // tf.tidy accepts null in a result, but its type does not.
      return tf.tidy(() => this.#differentiate(dy.clone(), xs, sums) as tf.Tensor[]);
    } finally {
      release(this.#nodes.splice(0));
    }
  }

  /** Frees the value and the tensors that the tape still holds. */
  dispose(): void {
    this.value.dispose();
    release(this.#nodes.splice(0));
  }

  /** Differentiates the operations from the last to the first. Consumes the nodes, dy and the sums. */
  #differentiate(dy: tf.Tensor, xs: readonly tf.Tensor[], sums: Readonly<Gradients>): Gradients {
    const wanted = new Set(xs.map((x) => x.id));
    const dependent = this.#dependents(wanted);
    const gradients = new Map([[this.value.id, dy]]);
    for (const [i, sum] of sums.entries()) if (sum) gradients.set(xs[i].id, sum);
    for (let node = this.#nodes.pop(); node; node = this.#nodes.pop()) {
      const dys = node.outputs.map((z) => gradients.get(z.id) ?? null);
      try {
        if (dys.some((d) => d) && node.outputs.some((z) => dependent.has(z.id)))
          addVjps(node, dys, dependent, gradients);
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

  /** Returns `ids` and the ids of all tensors that depend on them. */
  #dependents(ids: ReadonlySet<number>): Set<number> {
    const dependent = new Set(ids);
    for (const { inputs, outputs } of this.#nodes) {
      if (Object.values(inputs).some((x) => dependent.has(x.id)))
        for (const z of outputs) dependent.add(z.id);
    }
    return dependent;
  }
}

function release(nodes: readonly TapeNode[]): void {
  for (const { saved } of nodes) if (saved) tf.dispose(saved);
}

/** Adds the gradients of those inputs of a node that are in `dependent` to `gradients`. */
function addVjps(
  { kernelName, inputs, saved = [], gradient }: TapeNode,
  dys: Gradients,
  dependent: ReadonlySet<number>,
  gradients: Map<number, tf.Tensor>,
): void {
  if (!gradient) throw new Error(`${kernelName} has no gradient`);
  const wanted = Object.entries(inputs).filter(([, x]) => dependent.has(x.id));
  const found = tf.tidy(() => {
    const terms = gradient(dys);
    return wanted.map(([name]) => terms[name]());
  });
  // A vjp may return one tensor for two inputs, or dy itself, but every entry of the map is disposed separately.
  const shared = new Set([...dys, ...saved]);
  for (const [i, [, x]] of wanted.entries()) {
    tf.util.assertShapesMatch(found[i].shape, x.shape, `gradient of ${kernelName}: `);
    const dx = shared.has(found[i]) ? found[i].clone() : found[i];
    shared.add(found[i]);
    const sum = gradients.get(x.id);
    gradients.set(x.id, sum ? sum.add(dx) : dx);
    if (sum) tf.dispose([sum, dx]);
  }
}

/**
 * Computes a scalar loss and its gradients with respect to `variables`, in their order. A gradient is null if the loss does
 * not depend on that variable. The caller disposes the loss and the gradients.
 */
export function backward(
  loss: () => tf.Scalar,
  variables: tf.Tensor[],
): { value: tf.Scalar; grads: Gradients } {
  return differentiate(loss, variables) as { value: tf.Scalar; grads: Gradients };
}

/** Computes the value of `f` and the gradients of `sum(f() · dy)` with respect to `xs`; dy is 1 by default. */
function differentiate(
  f: () => tf.Tensor,
  xs: readonly tf.Tensor[],
  dy?: tf.Tensor,
): { value: tf.Tensor; grads: Gradients } {
  return tf.tidy(() => {
    const tape = new Tape(f);
    const grads = tape.vjp(dy ?? tf.onesLike(tape.value), xs);
    // tf.tidy accepts null in a result, but its type does not.
    return { value: tape.value, grads: grads as tf.Tensor[] };
  });
}

/**
 * Activation checkpointing: computes `f(x, constants)` and saves only its arguments; the backward pass computes `f` again.
 * `parameters` are the weights that `f` uses; `constants`, such as masks, get no gradient.
 */
export function activationCheckpoint(
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
