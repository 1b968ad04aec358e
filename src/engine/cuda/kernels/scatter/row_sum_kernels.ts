/** @file Kernels that list the updates of each row of a table and add them up. */
import { C_TYPE, floatOf } from '../c_types.js';
import { type Addition, scaleFunction, type Updates } from './atomic_kernels.js';
import { ELEMENT_THREADS } from './steps.js';

const WARP = 32;

export const SCAN_THREADS = 1024;
/** Vectors of four counts that each thread of a scan takes at a time. */
const SCAN_VECTORS = 4;

export const SUM_THREADS = 256;
const WARPS = SUM_THREADS / WARP;
/** Updates from which on all warps of a block add up a row. */
const LONG_ROW = 64;

/** Elements of a tensor with a number for each row, which the scan reads in vectors of four. */
export const paddedRows = (rows: number) => 4 * Math.ceil(rows / 4);

/** Adds the number of updates of each row to zeros. Operand row [count]; counts [rows]. */
export function countKernel(name: string, updates: Updates): string {
  return perUpdate(name, updates, {
    result: 'int *__restrict__ counts',
    statement: 'atomicAdd(counts + place, 1)',
  });
}

/**
 * Lists the updates by rows, in any order within a row. Operand row [count]; the place of the first update of each row in the
 * list, which becomes the end of the row; and the list [count].
 */
export function placeKernel(name: string, updates: Updates): string {
  return perUpdate(name, updates, {
    result: 'int *__restrict__ places, int *__restrict__ list',
    statement: 'list[atomicAdd(places + place, 1)] = update',
  });
}

/** A kernel with a thread for each update, which does something with its row, `place`. */
function perUpdate(
  name: string,
  { count, rows }: Updates,
  { result, statement }: { readonly result: string; readonly statement: string },
): string {
  return `extern "C" __global__ void __launch_bounds__(${ELEMENT_THREADS}) ${name}(const int *__restrict__ row, ${result}) {
  const unsigned update = blockIdx.x * ${ELEMENT_THREADS} + threadIdx.x;
  if (update >= ${count}) return;
  const int place = row[update];
  if (place >= 0 && place < ${rows}) ${statement};
}
`;
}

/** Replaces each of the counts [rows] by the sum of those before it. The launch has one block. */
export function scanKernel(name: string, rows: number): string {
  const warps = SCAN_THREADS / WARP;
  return `// Replaces each of ${rows} counts by the sum of those before it, a tile at a time.
extern "C" __global__ void __launch_bounds__(${SCAN_THREADS}) ${name}(int *__restrict__ counts) {
  __shared__ int sums[${warps}];
  const int lane = threadIdx.x % ${WARP}, warp = threadIdx.x / ${WARP};
  int before = 0;
  for (int tile = 0; tile < ${rows}; tile += ${SCAN_THREADS * SCAN_VECTORS * 4}) {
    const int first = tile / 4 + (int)threadIdx.x * ${SCAN_VECTORS};
    int4 *own = (int4 *)counts + first;
    int4 items[${SCAN_VECTORS}];
    int sum = 0;
    #pragma unroll
    for (int i = 0; i < ${SCAN_VECTORS}; i++) {
      items[i] = first + i < ${paddedRows(rows) / 4} ? own[i] : make_int4(0, 0, 0, 0);
      sum += items[i].x + items[i].y + items[i].z + items[i].w;
    }
    // The sum of this and the lower lanes.
    int upTo = sum;
    #pragma unroll
    for (int distance = 1; distance < ${WARP}; distance *= 2) {
      const int lower = __shfl_sync(~0u, upTo, (lane - distance) & ${WARP - 1});
      if (lane >= distance) upTo += lower;
    }
    if (lane == ${WARP - 1}) sums[warp] = upTo;
    __syncthreads();
    int next = before + upTo - sum;
    #pragma unroll
    for (int other = 0; other < ${warps}; other++) {
      if (other < warp) next += sums[other];
      before += sums[other];
    }
    __syncthreads();
    #pragma unroll
    for (int i = 0; i < ${SCAN_VECTORS}; i++) {
      const int y = next + items[i].x, z = y + items[i].y, w = z + items[i].z;
      if (first + i < ${paddedRows(rows) / 4}) own[i] = make_int4(next, y, z, w);
      next = w + items[i].w;
    }
  }
}
`;
}

/** Blocks with warps for all rows. */
const groupsOf = (rows: number) => Math.ceil(rows / WARPS);

/** Neighbouring columns that a thread adds up. */
const columnsOfThread = (width: number) => (width % 4 === 0 && width >= 4 * WARP ? 4 : 1);

/** The blocks of a `sumKernel`. */
export function sumBlocks({ rows, width }: Updates): number {
  return groupsOf(rows) * Math.ceil(width / columnsOfThread(width) / WARP);
}

/** Sums in registers; unsigned because these may overflow. */
const SUM_TYPE = { int: 'unsigned', float: 'float', fixed: 'unsigned long long' };
const VECTOR_TYPE = { float32: 'float4', int32: 'int4', bfloat16: 'ushort4' };
const LANES = ['x', 'y', 'z', 'w'];

/**
 * Writes the sum of each row's updates. Operands: values, weights if there are any, and for `fixed` the bound [1]; the end of each
 * row in the list [rows], the list, and the table [rows, width], which is NaN if the bound is not finite.
 */
export function sumKernel(name: string, updates: Updates, addition: Addition): string {
  const { width, rows, count, values, weights } = updates;
  const columns = columnsOfThread(width);
  const groups = groupsOf(rows);
  const isFixed = addition === 'fixed';
  const operands = [
    `const ${C_TYPE[values]} *__restrict__ values`,
    ...(weights ? [`const ${C_TYPE[weights]} *__restrict__ weights`] : []),
    ...(isFixed ? ['const float *__restrict__ bound'] : []),
    'const int *__restrict__ ends',
    'const int *__restrict__ list',
    `${addition === 'int' ? 'int' : 'float'} *__restrict__ table`,
  ];
  const add = `${name}_add(values, ${weights ? 'weights, ' : ''}list, ${isFixed ? 'scale, ' : ''}column, sums, end, `;
  const store = `${name}_store(sums, ${isFixed ? 'largest, scale, ' : ''}table + (row * ${width} + column))`;
  return `${isFixed ? scaleFunction(`${name}_scale`, count) : ''}${addFunction(name, updates, addition)}${storeFunction(name, updates, addition)}// Adds up the updates of each row of the table [${rows}, ${width}].
extern "C" __global__ void __launch_bounds__(${SUM_THREADS}) ${name}(${operands.join(', ')}) {
  __shared__ ${SUM_TYPE[addition]} parts[${WARPS}][${columns}][${WARP}];
  const int lane = threadIdx.x % ${WARP}, warp = threadIdx.x / ${WARP};
  // Neighbouring rows, which often have many updates together, are rows of different blocks.
  const int group = (int)blockIdx.x % ${groups};
  const int column = ((int)blockIdx.x / ${groups} * ${WARP} + lane) * ${columns};
${isFixed ? `  const float largest = *bound, scale = ${name}_scale(largest);\n` : ''}  // Each warp adds up a row.
  const int ownRow = group + warp * ${groups};
  if (ownRow < ${rows} && column < ${width}) {
    const int row = ownRow, first = row > 0 ? ends[row - 1] : 0, end = ends[row];
    if (end - first < ${LONG_ROW}) {
      ${SUM_TYPE[addition]} sums[${columns}] = {};
      ${add}first, 1);
      ${store};
    }
  }
  // All warps add up the rows of many updates together.
  for (int row = group; row < ${rows}; row += ${groups}) {
    const int first = row > 0 ? ends[row - 1] : 0, end = ends[row];
    if (end - first < ${LONG_ROW}) continue;
    ${SUM_TYPE[addition]} sums[${columns}] = {};
    if (column < ${width}) ${add}first + warp, ${WARPS});
    for (int i = 0; i < ${columns}; i++) parts[warp][i][lane] = sums[i];
    __syncthreads();
    if (warp == 0 && column < ${width}) {
      for (int other = 1; other < ${WARPS}; other++)
        for (int i = 0; i < ${columns}; i++) sums[i] += parts[other][i][lane];
      ${store};
    }
    __syncthreads();
  }
}
`;
}

/** A function that adds neighbouring columns of the updates list[first], list[first + step], … to sums. */
function addFunction(name: string, updates: Updates, addition: Addition): string {
  const { width, repeats, values, weights } = updates;
  if (values === 'bool') throw new Error('no sums of booleans');
  const isFixed = addition === 'fixed';
  const isVector = columnsOfThread(width) > 1;
  const type = isVector ? VECTOR_TYPE[values] : C_TYPE[values];
  const elements = isVector ? LANES.map((lane) => `value.${lane}`) : ['value'];
  const additions = elements.map((element, i) => {
    const value = floatOf(element, values);
    const term = weights ? `weight * ${value}` : value;
    return `    sums[${i}] += ${isFixed ? `(unsigned long long)__float2ll_rn((${term}) * scale)` : term};`;
  });
  const parameters = [
    `const ${C_TYPE[values]} *values`,
    ...(weights ? [`const ${C_TYPE[weights]} *weights`] : []),
    'const int *list',
    ...(isFixed ? ['float scale'] : []),
    `int column, ${SUM_TYPE[addition]} *sums, int end, int first, int step`,
  ];
  return `__device__ __forceinline__ void ${name}_add(${parameters.join(', ')}) {
  #pragma unroll 4
  for (int i = first; i < end; i += step) {
    const int update = list[i];
    const ${type} value = *(const ${type} *)(values + (update / ${repeats} * ${width} + column));
${weights ? `    const float weight = ${floatOf('weights[update]', weights)};\n` : ''}${additions.join('\n')}
  }
}
`;
}

/** A function that writes the sums of neighbouring columns. */
function storeFunction(name: string, { width }: Updates, addition: Addition): string {
  const isFixed = addition === 'fixed';
  const type = addition === 'int' ? 'int' : 'float';
  const columns = columnsOfThread(width);
  const results = LANES.slice(0, columns).map((_, lane) =>
    isFixed
      ? `isFinite ? __ll2float_rn((long long)sums[${lane}]) / scale : largest - largest`
      : `(${type})sums[${lane}]`,
  );
  const store =
    columns > 1 ? `*(${type}4 *)place = make_${type}4(${results.join(', ')})` : `*place = ${results[0]}`;
  const parameters = [
    `const ${SUM_TYPE[addition]} *sums`,
    ...(isFixed ? ['float largest, float scale'] : []),
    `${type} *place`,
  ];
  return `__device__ __forceinline__ void ${name}_store(${parameters.join(', ')}) {
${isFixed ? '  const bool isFinite = largest - largest == 0.0f;\n' : ''}  ${store};
}
`;
}
