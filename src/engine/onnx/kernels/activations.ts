/** @file GELU and the gradients of GELU and ReLU. */
import { floats, fusedKernel } from '../kernel.js';

export const gelu = fusedKernel('Gelu', {
  results: ({ x }) => [floats(x.shape)],
  lower: (g, { x }) => [g.op('Gelu', [x.name])],
});

/** dy·(Φ(x) + x·φ(x)). */
export const geluGrad = fusedKernel('GeluGrad', {
  results: ({ x }) => [floats(x.shape)],
  lower: (g, { dy, x }) => {
    const u = g.op('Mul', [x.name, g.scalar(Math.SQRT1_2)]);
    const twicePhi = g.op('Add', [g.op('Erf', [u]), g.scalar(1)]);
    const density = g.op('Exp', [g.op('Neg', [g.op('Mul', [u, u])])]);
    // x·φ(x)·2 = u·e^(−u²)·2/√π
    const slope = g.op('Mul', [g.op('Mul', [u, density]), g.scalar(2 / Math.sqrt(Math.PI))]);
    const twice = g.op('Add', [twicePhi, slope]);
    return [g.op('Mul', [g.op('Mul', [dy.name, g.scalar(0.5)]), twice])];
  },
});

export const reluGrad = fusedKernel('ReluGrad', {
  results: ({ y }) => [floats(y.shape)],
  lower: (g, { dy, y }) => {
    const zero = g.scalar(0);
    return [g.op('Where', [g.op('Greater', [y.name, zero]), dy.name, zero])];
  },
});
