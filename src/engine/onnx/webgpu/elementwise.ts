/** @file tfjs's kernels that work element by element and differ on a GPU. */
import type { Kernel } from '../kernel.js';
import { elementwiseKernels, numbersOf } from '../kernels/elementwise.js';

/** ⌊a / b⌋ of integers in int32, for the provider has no int64: overflows wrap around on a GPU. */
export const floorDiv: Kernel = {
  ...elementwiseKernels.FloorDiv,
  lower: (g, operands, node) => {
    if (operands[0].dtype === 'float32') return elementwiseKernels.FloorDiv.lower(g, operands, node);
    const [a, b] = numbersOf(g, operands);
    const [zero, one] = [g.scalar(0, 'int32'), g.scalar(1, 'int32')];
    const isZero = g.op('Equal', [b, zero]);
    const divisor = g.op('Where', [isZero, one, b]);
    const quotient = g.op('Div', [a, divisor]);
    const rest = g.op('Sub', [a, g.op('Mul', [quotient, divisor])]);
    // The quotient is rounded towards 0, so it is too large if the rest and the divisor have different signs.
    const signs = g.op('Mul', [g.op('Sign', [rest]), g.op('Sign', [divisor])]);
    const isAbove = g.op('Less', [signs, zero]);
    const floor = g.op('Where', [isAbove, g.op('Sub', [quotient, one]), quotient]);
    return g.op('Where', [isZero, zero, floor]);
  },
};
