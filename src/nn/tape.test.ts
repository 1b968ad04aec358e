/** @file The tape: gradients, constants, activation checkpointing, and memory that is freed. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { gelu, layerNorm, linear } from './functional.js';
import { activationCheckpoint, backward, differentiable, noGrad, Tape, withGraphBreak } from './tape.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);
const read = (tensors: (tf.Tensor | null)[]) => tensors.map((t) => t && Array.from(t.dataSync()));

/** Runs backward, reads the value and the gradients, and disposes them. */
function gradients(loss: () => tf.Tensor, variables: tf.Tensor[]) {
  const { value, grads } = backward(loss as () => tf.Scalar, variables);
  const result = { value: value.dataSync()[0], grads: read(grads) };
  tf.dispose([value, ...grads.filter((grad) => grad !== null)]);
  return result;
}

describe('backward', () => {
  it('returns null for variables that the loss does not depend on, and keeps the order', () => {
    const [a, b, c] = [tf.scalar(2), tf.scalar(3), tf.scalar(5)];
    const { value, grads } = gradients(() => c.mul(a).mul(a), [a, b, c]);
    expect(value).toBe(20);
    expect(grads).toEqual([[20], null, [4]]);
    tf.dispose([a, b, c]);
  });

  it('works if the loss depends on none of the variables', () => {
    const [a, b] = [tf.scalar(2), tf.scalar(3)];
    expect(gradients(() => b.square(), [a])).toEqual({ value: 9, grads: [null] });
    tf.dispose([a, b]);
  });

  it('adds up the gradients of a value that is used several times', () => {
    const a = tf.tensor1d([1, 2]);
    const loss = () =>
      gelu(a)
        .add(a)
        .add(a.square())
        .add(a.mul(tf.scalar(3)))
        .sum();
    expectGradients((x) => gelu(x).add(x).add(x.square()), [normals([2], new Rng(1))]);
    const { grads } = gradients(loss, [a]);
    const slope = gradients(() => gelu(a).sum(), [a]).grads[0]!;
    for (const [i, x] of [1, 2].entries()) expect(grads[0]![i]).toBeCloseTo(slope[i] + 1 + 2 * x + 3, 5);
    a.dispose();
  });

  it('lets the caller read values in the middle of the loss', () => {
    const a = tf.tensor1d([3]);
    const seen: number[] = [];
    const { grads } = gradients(() => {
      const square = a.square();
      seen.push(square.dataSync()[0]);
      return square.mul(seen[0]).sum();
    }, [a]);
    expect([seen, grads]).toEqual([[9], [[54]]]);
    a.dispose();
  });
});

describe('Tape', () => {
  const make = () => [tf.tensor1d([1, -2, 3]), tf.tensor1d([0.5, 4, -1]), tf.scalar(7)] as const;

  it('returns the gradients later, added to sums, after other operations have run', async () => {
    const [a, b, c] = make();
    const before = tf.memory().numTensors;
    const tape = new Tape(() => gelu(a.mul(b)).add(a));
    const value = Array.from(await tape.value.data());
    const other = gradients(() => a.square().sum(), [a]).grads;
    expect(other).toEqual([[2, -4, 6]]);
    const dy = tf.tensor1d([1, 2, 3]);
    const sums = [null, tf.tensor1d([10, 20, 30]), tf.scalar(5)];
    const grads = tape.backward(dy, [a, b, c], sums);
    const expected = gradients(() => gelu(a.mul(b)).add(a).mul(dy).sum(), [a, b]).grads;
    expect(value).toEqual(Array.from(tf.tidy(() => gelu(a.mul(b)).add(a)).dataSync()));
    const [forA, forB, forC] = read(grads);
    expect(forA).toEqual(expected[0]);
    expect(forB).toEqual(expected[1]!.map((g, i) => expect.closeTo(g + [10, 20, 30][i], 4)));
    // Nothing leads to it: its sum stays.
    expect(forC).toEqual([5]);
    tf.dispose([...(grads as tf.Tensor[]), dy]);
    // The value of the comparison is the only one that is left.
    expect(tf.memory().numTensors).toBe(before + 1);
    tf.dispose([a, b, c]);
  });

  it('leaves nothing behind if it is disposed or a gradient throws', () => {
    const [a, b, c] = make();
    const before = tf.memory().numTensors;
    const failing = (x: tf.Tensor) =>
      differentiable(
        [x],
        (save) => {
          save([x]);
          return x.mul(1);
        },
        () => {
          throw new Error('in the middle');
        },
      );
    const given = new Tape(() => gelu(a.mul(b)));
    given.dispose();
    given.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const broken = new Tape(() => gelu(failing(gelu(a.mul(b)))));
    const dy = tf.onesLike(a);
    expect(() => broken.backward(dy, [a, b])).toThrow('in the middle');
    dy.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([a, b, c]);
  });
});

describe('memory of the backward pass', () => {
  it('frees saved tensors and gradients as soon as they are no longer needed', () => {
    const x = tf.zeros([8]);
    const before = tf.memory().numDataBuffers;
    let recorded = 0;
    let atTheEnd = 0;
    // The first operation is differentiated last.
    const probe = (t: tf.Tensor) =>
      differentiable(
        [t],
        (save) => {
          save([t]);
          return t.mul(1);
        },
        (dy) => {
          atTheEnd = tf.memory().numDataBuffers - before;
          return [dy.mul(1)];
        },
      );
    const { value, grads } = backward(() => {
      let y = probe(x);
      for (let n = 0; n < 30; n++) y = gelu(y);
      recorded = tf.memory().numDataBuffers - before;
      return y.sum() as tf.Scalar;
    }, [x]);
    // Each gelu keeps its input; of all that, the result, the gradient at hand and its product are left.
    expect(recorded).toBeGreaterThanOrEqual(30);
    expect(atTheEnd).toBeLessThanOrEqual(4);
    tf.dispose([x, value, grads[0]!]);
  });

  it('leaves nothing behind if the loss throws, and can be used again', () => {
    const x = tf.tensor1d([1, 2]);
    const before = tf.memory().numTensors;
    const failing = () =>
      backward(() => {
        gelu(gelu(x)).square();
        throw new Error('in the middle');
      }, [x]);
    expect(failing).toThrow('in the middle');
    expect(tf.memory().numTensors).toBe(before);
    expect(gradients(() => x.square().sum(), [x]).grads).toEqual([[2, 4]]);
    x.dispose();
  });

  it('accepts gradients that are passed through or returned twice', () => {
    const pass = (a: tf.Tensor, b: tf.Tensor) =>
      differentiable(
        [a, b],
        () => a.add(b),
        (dy) => [dy, dy],
      );
    const saved = (a: tf.Tensor) =>
      differentiable(
        [a],
        (save) => {
          save([a]);
          return a.square().mul(0.5);
        },
        (_dy, [input]) => [input],
      );
    const [x, w] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 5])];
    const { grads } = gradients(() => {
      const y = pass(pass(x, x), pass(x, w));
      return y.add(saved(x)).add(saved(x)).sum();
    }, [x, w]);
    expect(grads).toEqual([
      [3 + 2, 3 + 4],
      [1, 1],
    ]);
    tf.dispose([x, w]);
  });
});

describe('the tape of an operation whose gradient needs only shapes', () => {
  it.each<[string, (x: tf.Tensor) => tf.Tensor]>([
    ['reshape', (x) => x.reshape([3, 2])],
    ['expandDims', (x) => x.expandDims(1)],
    ['add', (x) => x.add(tf.scalar(1))],
    ['sub', (x) => tf.scalar(1).sub(x)],
    ['addN', (x) => tf.addN([x, x])],
    ['sum', (x) => x.sum(1)],
    ['mean', (x) => tf.mean(x, 1)],
    ['slice', (x) => x.slice([0, 1], [2, 2])],
    [
      'pad',
      (x) =>
        x.pad([
          [0, 0],
          [1, 0],
        ]),
    ],
    ['concat', (x) => tf.concat([x, x], 1)],
    ['stack', (x) => tf.stack([x, x])],
  ])('frees the operands of %s, and has the gradient of tfjs', (_, operation) => {
    const x = tf.tensor2d([1, -2, 3, 0.5, 4, -1], [2, 3]);
    const before = tf.memory().numDataBuffers;
    // The square keeps x itself, which is there anyway, and its result is the operand.
    const tape = new Tape(() => operation(x.square()));
    expect(tf.memory().numDataBuffers - before).toBeLessThanOrEqual(1);
    const dy = tf.range(0, tape.value.size).reshape(tape.value.shape);
    const [grad] = tape.backward(dy, [x]);
    const expected = tf.grad((y) => operation(y.square()))(x, dy);
    expect(read([grad])).toEqual(read([expected]));
    tf.dispose([x, dy, grad as tf.Tensor, expected]);
  });
});

describe('noGrad', () => {
  it('makes constants, and recording continues after it', () => {
    const a = tf.tensor1d([2, 3]);
    const squares = gradients(() => a.mul(noGrad(() => a.square())).sum(), [a]);
    expect(squares).toEqual({ value: 35, grads: [[4, 9]] });
    expect(
      gradients(
        () =>
          a
            .mul(noGrad(() => a.clone()))
            .add(a)
            .sum(),
        [a],
      ),
    ).toEqual({ value: 18, grads: [[3, 4]] });
    a.dispose();
  });

  it('hides custom gradients too, and returns the result', () => {
    const a = tf.tensor1d([1]);
    expect(noGrad(() => 'value')).toBe('value');
    expect(
      gradients(
        () =>
          noGrad(() => gelu(a))
            .add(a)
            .sum(),
        [a],
      ).grads,
    ).toEqual([[1]]);
    a.dispose();
  });

  it('switches the tape on again after an error', () => {
    const a = tf.scalar(3);
    expect(() =>
      noGrad(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(gradients(() => a.square(), [a]).grads).toEqual([[6]]);
    a.dispose();
  });
});

describe('differentiable', () => {
  it('passes the saved tensors to the gradient and frees its temporaries', () => {
    const x = tf.tensor1d([2, 5]);
    const scale = tf.scalar(4);
    const before = tf.memory().numTensors;
    const { grads } = gradients(
      () =>
        differentiable(
          [x],
          (save) => {
            save([x, scale]);
            return x.square().mul(scale);
          },
          (dy, [saved, factor]) => [dy.mul(saved).mul(2).mul(factor)],
        ).sum(),
      [x],
    );
    expect(grads).toEqual([[16, 40]]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, scale]);
  });
});

describe('withGraphBreak', () => {
  it('passes the value and the gradient on, also inside activation checkpointing', () => {
    const f = (x: tf.Tensor, w: tf.Tensor) =>
      withGraphBreak(gelu(x.mul(w)), { before: 'before', after: 'after' }).mul(w);
    expectGradients(f, [normals([3, 4], new Rng(2)), normals([4], new Rng(3))]);
    const [x, w] = [tf.tensor1d([1, -2]), tf.tensor1d([3, 4])];
    const plain = gradients(() => gelu(x.mul(w)).mul(w).sum(), [x, w]);
    expect(gradients(() => f(x, w).sum(), [x, w])).toEqual(plain);
    expect(gradients(() => activationCheckpoint((t) => f(t, w), x, [w]).sum(), [x, w])).toEqual(plain);
    tf.dispose([x, w]);
  });

  it('leaves no tensor behind, and keeps the value when its argument is disposed', () => {
    const before = tf.memory().numTensors;
    const x = tf.tensor1d([1, 2]);
    const y = withGraphBreak(x, { before: 'before', after: 'after' });
    x.dispose();
    expect(Array.from(y.dataSync())).toEqual([1, 2]);
    y.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('activationCheckpoint', () => {
  const rng = new Rng(12);
  const [C, hidden] = [4, 6];
  const weights = [
    normals([C], rng),
    normals([C], rng),
    normals([hidden, C], rng),
    normals([C, hidden], rng),
  ];

  /** A small residual block with a mask on its branch, written like the backbone's. */
  function block(x: tf.Tensor, [weight, bias, up, down]: tf.Tensor[], [mask]: tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const branch = linear(gelu(linear(layerNorm(x, 1e-6, { weight, bias }), up)), down);
      return x.add(mask ? branch.mul(mask) : branch);
    });
  }

  /** Gradients of x, of all weights and of a factor used before and after, through two blocks one after the other. */
  function run(useCheckpoint: boolean, masked: boolean) {
    const x = tensor(normals([3, 2, C], new Rng(13)));
    const factor = tf.scalar(1.5);
    const first = weights.map((w) => tf.variable(tensor(w)));
    const second = weights.map((w) =>
      tf.variable(tensor({ ...w, data: w.data.map((value) => value * 0.7) })),
    );
    const result = gradients(() => {
      // Masks are made inside the loss, as in training: the tidy of `backward` must not free them too early.
      const masks = masked ? [tf.tensor([0, 2, 2], [3, 1, 1])] : [];
      const apply = (input: tf.Tensor, parameters: tf.Tensor[]) =>
        useCheckpoint
          ? activationCheckpoint((t, constants) => block(t, parameters, constants), input, parameters, masks)
          : block(input, parameters, masks);
      const y = apply(apply(x.mul(factor), first), second);
      return y.mul(factor).add(x).square().sum();
    }, [x, factor, ...first, ...second]);
    tf.dispose([x, factor, ...first, ...second]);
    return result;
  }

  it.each([
    ['without masks', false],
    ['with a mask', true],
  ])('gives the same value and gradients as without it, %s', (_, masked) => {
    const [plain, recomputed] = [run(false, masked), run(true, masked)];
    expect(plain.grads.every((grad) => grad?.some((value) => value !== 0))).toBe(true);
    // The same operations on the same numbers: not one bit differs.
    expect(recomputed).toEqual(plain);
  });

  it('has the right gradients', () => {
    expectGradients(
      (x, ...parameters) => activationCheckpoint((t) => block(t, parameters, []), x, parameters).mul(2),
      [normals([2, 2, C], rng), ...weights],
    );
  });

  it('returns zeros for parameters that the function does not use', () => {
    const [x, unused] = [tf.tensor1d([1, 2]), tf.tensor1d([5, 5, 5])];
    const { grads } = gradients(
      () => activationCheckpoint((t) => t.square(), x, [unused]).sum(),
      [x, unused],
    );
    expect(grads).toEqual([
      [2, 4],
      [0, 0, 0],
    ]);
    tf.dispose([x, unused]);
  });

  it('works inside another activation checkpoint', () => {
    const x = tf.tensor1d([1, 2]);
    const w = tf.tensor1d([3, 4]);
    const inner = (t: tf.Tensor) => activationCheckpoint((u) => u.square().mul(w), t, [w]);
    const { grads } = gradients(
      () => activationCheckpoint((t) => inner(t.mul(2)).mul(w), x, [w]).sum(),
      [x, w],
    );
    // (2x)²·w² = 4x²w²
    expect(grads).toEqual([
      [8 * 9, 16 * 16],
      [8 * 3, 32 * 4],
    ]);
    tf.dispose([x, w]);
  });

  it('keeps only its input until the backward pass, and nothing after it', () => {
    const live = (useCheckpoint: boolean) => {
      const x = tf.tensor(new Float32Array(64), [16, C]);
      const parameters = weights.map(tensor);
      const before = tf.memory();
      let during = 0;
      const { value, grads } = backward(() => {
        const y = useCheckpoint
          ? activationCheckpoint((t) => block(t, parameters, []), x, parameters)
          : block(x, parameters, []);
        during = tf.memory().numDataBuffers - before.numDataBuffers;
        return y.sum() as tf.Scalar;
      }, [x]);
      tf.dispose([value, ...(grads as tf.Tensor[])]);
      expect(tf.memory().numTensors).toBe(before.numTensors);
      tf.dispose([x, ...parameters]);
      return during;
    };
    const [recomputed, plain] = [live(true), live(false)];
    // The output itself; the input is there anyway.
    expect(recomputed).toBe(1);
    expect(plain).toBeGreaterThan(3);
  });
});
