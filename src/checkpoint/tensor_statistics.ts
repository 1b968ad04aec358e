/** @file Sum, minimum and maximum of a tensor, read piece by piece. */
import { DTYPE_BYTES, elementsOf, type HostTensor, piecesOf } from '../formats/host_tensor.js';

/** Figures of the finite elements; null if there are none. */
export interface TensorStatistics {
  readonly sum: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** Elements that are not a number. */
  readonly nan: number;
  /** Elements that are ±infinity. */
  readonly infinite: number;
}

/** Computes the statistics in double precision, in the tensor's order. Throws if the tensor cannot be read. */
export function statisticsOf(tensor: HostTensor): TensorStatistics {
  const { dtype } = tensor;
  let [sum, min, max] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [finite, nan, infinite] = [0, 0, 0];
  for (const piece of piecesOf(tensor)) {
    const shape = [piece.length / DTYPE_BYTES[dtype]];
    const elements = elementsOf({ dtype, shape, bytes: () => piece });
    for (let i = 0; i < elements.length; i++) {
      const value = Number(elements[i]);
      if (value - value !== 0) {
        if (Number.isNaN(value)) nan++;
        else infinite++;
        continue;
      }
      finite++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return finite > 0 ? { sum, min, max, nan, infinite } : { sum: null, min: null, max: null, nan, infinite };
}
