/** @file What tfjs's tape lacks: custom gradients that free their temporaries, no-grad, activation checkpointing. */
import * as tf from '@tensorflow/tfjs';

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

/** The value of `x` as a constant to the tape. */
export function detach(x: tf.Tensor): tf.Tensor {
  return noGrad(() => x.clone());
}

/**
 * Gradients of a scalar loss with respect to `variables`: tensors in their order, null where the loss does not depend
 * on one. The caller disposes the loss and the gradients.
 */
export function backward(
  loss: () => tf.Scalar,
  variables: tf.Tensor[],
): { value: tf.Scalar; grads: (tf.Tensor | null)[] } {
  return tf.tidy(() => {
    const { value, grads } = tf.engine().gradients(loss, variables, undefined, true);
    return { value: value as tf.Scalar, grads: grads.map((grad) => grad ?? null) };
  });
}

/** Gradients of `sum(f() · dy)`, computed while the gradient of another function is being taken. */
function nestedGradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: tf.Tensor): (tf.Tensor | null)[] {
  const { state } = tf.engine();
  // engine.gradients() ends by dropping the active tape, which here is still the outer pass's.
  const outer = state.activeTape;
  try {
    return tf.engine().gradients(f, xs, dy, true).grads;
  } finally {
    state.activeTape = outer;
  }
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
      return nestedGradients(() => f(input, saved), inputs, dy).map(
        (grad, i) => grad ?? tf.zerosLike(inputs[i]),
      );
    },
  );
}
