/** @file The gradient check itself must notice wrong gradients. */
import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/tfjs.js';
import { differentiable, noGrad } from '../../src/nn/tape.js';
import { Rng } from '../../src/util/random.js';
import { expectGradients, normals, values } from '../support/finite_difference.js';

/** x² with a gradient of the test's choice. */
function square(gradient: (x: tf.Tensor, dy: tf.Tensor) => tf.Tensor) {
  return (x: tf.Tensor) =>
    differentiable(
      [x],
      (save) => {
        save([x]);
        return x.square();
      },
      (dy, [saved]) => [gradient(saved, dy)],
    );
}

describe('expectGradients', () => {
  const x = normals([4, 5], new Rng(1));

  it('accepts a right gradient', () => {
    expectGradients(
      square((t, dy) => dy.mul(t).mul(2)),
      [x],
    );
  });

  it('fails for a factor that is 1 % off', () => {
    expect(() =>
      expectGradients(
        square((t, dy) => dy.mul(t).mul(2.02)),
        [x],
      ),
    ).toThrow(/by the tape/);
  });

  it('fails for one wrong element', () => {
    const mask = tf.tensor(
      values(
        [4, 5],
        (() => {
          let i = 0;
          return () => (i++ === 7 ? 0.5 : 1);
        })(),
      ).data,
      [4, 5],
    );
    expect(() =>
      expectGradients(
        square((t, dy) => dy.mul(t).mul(2).mul(mask)),
        [x],
      ),
    ).toThrow(/by the tape/);
    mask.dispose();
  });

  it('fails for a gradient where there must be none, and vice versa', () => {
    expect(() => expectGradients((t) => t.square(), [x], { constant: [0] })).toThrow(/constant/);
    expect(() => expectGradients((t) => noGrad(() => t.clone()).square(), [x])).toThrow(/no gradient/);
  });
});
