/** @file GELU and the gradients of GELU and ReLU. */
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';
import { Float } from '../model_format.js';

export const gelu = fusedKernel('Gelu', {
  results: ({ x }) => [floats(x.shape)],
  lower: (g, { x }) => [g.op('Gelu', [x.name])],
});

/** dy·(Φ(x) + x·φ(x)). */
export const geluGrad = fusedKernel('GeluGrad', {
  results: ({ x }) => [floats(x.shape)],
  lower: (g, { dy, x }) => {
    const u = g.op('Mul', [x.name, g.scalar(Math.SQRT1_2)]);
    // Φ(x) = (1 + erf(u))/2, which HardSigmoid computes in one pass: it bounds a linear function to [0, 1].
    const half = new Float(0.5);
    const phi = g.op('HardSigmoid', [g.op('Erf', [u])], { alpha: half, beta: half });
    const density = g.op('Exp', [g.op('Mul', [g.op('Mul', [x.name, x.name]), g.scalar(-0.5)])]);
    // x·φ(x) = u·e^(−x²/2)/√π
    const slope = g.op('Mul', [g.op('Mul', [u, density]), g.scalar(1 / Math.sqrt(Math.PI))]);
    return [g.op('Mul', [dy.name, g.op('Add', [phi, slope])])];
  },
});

export const reluGrad = fusedKernel('ReluGrad', {
  results: ({ y }) => [floats(y.shape)],
  lower: (g, { dy, y }) => {
    const zero = g.scalar(0);
    return [g.op('Where', [g.op('Greater', [y.name, zero]), dy.name, zero])];
  },
});
