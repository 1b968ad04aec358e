/**
 * @file Kernels that add rows of updates to the rows of a table.
 *
 * The order in which threads add floats differs from run to run, and so do the last bits of their sum. Sums of integers do not
 * depend on the order. Therefore floats are added in fixed point: a bound on all updates gives a power of two by which they are
 * multiplied, so that 64-bit integers hold every sum.
 */
import type { Storage } from '../../storage.js';
import { C_TYPE, floatOf } from '../c_types.js';
import { ELEMENT_THREADS } from './steps.js';

/** Update t, one of `count` rows, is row ⌊t / repeats⌋ of `values` [count / repeats, width], times weights[t] if there are any. */
export interface Updates {
  readonly count: number;
  readonly width: number;
  readonly repeats: number;
  readonly values: Storage;
  readonly weights?: Storage;
  /** Rows of the table. Updates of other rows are left out. */
  readonly rows: number;
}

/** How updates are added: as they are, or in fixed point to 64-bit integers. */
export type Addition = 'int' | 'float' | 'fixed';

const SUM_TYPE = { int: 'int', float: 'float', fixed: 'unsigned long long' };

/**
 * A kernel with the operands row [count], values, weights if there are any, and for `fixed` the bound [1]; and the sums. Each
 * thread adds one element.
 */
export function addKernel(name: string, updates: Updates, addition: Addition): string {
  const { count, width, repeats, values, weights, rows } = updates;
  const isFixed = addition === 'fixed';
  // More elements than 32 bits count are possible, because each row of values serves several updates.
  const index = count * width < 2 ** 31 ? 'int' : 'long long';
  const operands = [
    'const int *__restrict__ row',
    `const ${C_TYPE[values]} *__restrict__ values`,
    ...(weights ? [`const ${C_TYPE[weights]} *__restrict__ weights`] : []),
    ...(isFixed ? ['const float *__restrict__ bound'] : []),
    `${SUM_TYPE[addition]} *__restrict__ sums`,
  ];
  const value = floatOf(`values[update / ${repeats} * ${width} + column]`, values);
  const term = weights ? `${floatOf('weights[update]', weights)} * ${value}` : value;
  const sum = isFixed ? `(unsigned long long)__float2ll_rn((${term}) * ${name}_scale(*bound))` : term;
  return `// Adds update t to row[t] of the table [${rows}, ${width}].
${isFixed ? scaleFunction(`${name}_scale`, count) : ''}extern "C" __global__ void __launch_bounds__(${ELEMENT_THREADS}) ${name}(${operands.join(', ')}) {
  const ${index} element = (${index})blockIdx.x * ${ELEMENT_THREADS} + threadIdx.x;
  if (element >= ${count * width}) return;
  const int update = element / ${width}, column = element % ${width};
  const int place = row[update];
  if (place < 0 || place >= ${rows}) return;
  atomicAdd(sums + (place * ${width} + column), ${sum});
}
`;
}

/** A kernel with the operand bound [1], the fixed-point sums and the result, which is NaN if the bound is not finite. */
export function fixedToFloatKernel(name: string, { count, rows, width }: Updates): string {
  return `// Converts the sums of the table [${rows}, ${width}] from fixed point.
${scaleFunction(`${name}_scale`, count)}extern "C" __global__ void __launch_bounds__(${ELEMENT_THREADS}) ${name}(const float *__restrict__ bound, const long long *__restrict__ sums, float *__restrict__ result) {
  const int element = blockIdx.x * ${ELEMENT_THREADS} + threadIdx.x;
  if (element >= ${rows * width}) return;
  const float largest = *bound;
  const bool isFinite = largest - largest == 0.0f;
  result[element] = isFinite ? __ll2float_rn(sums[element]) / ${name}_scale(largest) : largest - largest;
}
`;
}

/**
 * The factor of fixed point: the largest power of two, up to 2^126, for which `count` updates up to the bound add up to less
 * than 2^62.
 */
export function scaleFunction(name: string, count: number): string {
  const countBits = Math.ceil(Math.log2(count));
  return `// A power of two: ${count} numbers up to the bound, times it, add up to 2^61 at most.
__device__ __forceinline__ float ${name}(float bound) {
  // The bound is less than 2^exponent.
  const int exponent = (__float_as_int(bound) >> 23 & 255) - 126;
  return __int_as_float(min(${61 - countBits} - exponent, 126) + 127 << 23);
}
`;
}
