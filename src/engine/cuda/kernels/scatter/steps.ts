/** @file Steps of calls that several operations need. */
import type { ClearStep, KernelStep } from '../../ir/call.js';

/** Threads of a block of a kernel with one thread for each element. */
export const ELEMENT_THREADS = 256;

/** Sets a result of a call, which has this many bytes, to zero. */
export function clearStep(result: number, bytes: number): ClearStep {
  return { kind: 'clear', operands: [], results: [{ result, offset: 0 }], cost: { bytes, flops: 0 } };
}

/** The launch of one thread for each of `size` elements. */
export function elementwise(size: number): Pick<KernelStep, 'kind' | 'grid' | 'block'> {
  return { kind: 'kernel', grid: [Math.ceil(size / ELEMENT_THREADS), 1, 1], block: ELEMENT_THREADS };
}
