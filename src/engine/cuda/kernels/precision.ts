/**
 * @file What the precision bfloat16 means: which products have bfloat16 operands, and which results are stored so.
 *
 * Products of matrices with enough multiply-adds read bfloat16 and add up in float32. What they and large layer normalisations
 * hand on, activations and their gradients, is stored in bfloat16. Gradients of weights, the weights themselves, the optimizer's
 * state, losses, softmax and all statistics and sums stay float32.
 */
import type { Policy } from './lowering.js';

export type FloatStorage = 'float32' | 'bfloat16';

/** What stays float32 also in the precision bfloat16. */
export interface Bfloat16Sizes {
  /** Multiply-adds of products: smaller ones would not gain what the conversion of their operands costs. */
  readonly minMultiplyAdds: number;
  /** Elements of the results of normalisations. */
  readonly minElements: number;
}

const SIZES: Bfloat16Sizes = { minMultiplyAdds: 2 ** 22, minElements: 2 ** 16 };

/** Storage of the operands of a product with this number of multiply-adds. */
export function operandStorage(
  { precision, bfloat16Sizes = SIZES }: Policy,
  multiplyAdds: number,
): FloatStorage {
  return precision === 'bfloat16' && multiplyAdds >= bfloat16Sizes.minMultiplyAdds ? 'bfloat16' : 'float32';
}

/** Storage of the results of a layer normalisation with this number of elements, and of their gradients. */
export function normStorage({ precision, bfloat16Sizes = SIZES }: Policy, size: number): FloatStorage {
  return precision === 'bfloat16' && size >= bfloat16Sizes.minElements ? 'bfloat16' : 'float32';
}
