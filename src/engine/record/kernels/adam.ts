/** @file The results of an update of one parameter by Adam or AdamW. */
import { ADAM_SCALARS, type FusedKernels, type InputsOf } from '../../kernel_contract.js';
import { tf } from '../../tfjs.js';
import { floats } from '../kernel.js';

type AdamInputs = InputsOf<FusedKernels['AdamUpdate'], { readonly shape: readonly number[] }>;

/** The new parameter and its two averages. Throws if the shapes of the inputs differ. */
export function adamResults({ weight, grad, exp_avg, exp_avg_sq, scalars }: AdamInputs) {
  for (const { shape } of [grad, exp_avg, exp_avg_sq])
    tf.util.assertShapesMatch([...shape], [...weight.shape], 'update of a parameter: ');
  tf.util.assertShapesMatch([...scalars.shape], [ADAM_SCALARS.length], 'scalars of AdamUpdate: ');
  const result = floats(weight.shape);
  return [result, result, result] as const;
}
