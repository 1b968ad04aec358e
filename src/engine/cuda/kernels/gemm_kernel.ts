/** @file A kernel for matrix products, for machines without cuBLASLt. */
import type { Gemm, GemmOperand } from '../compile/program.js';
import type { GemmStep, KernelStep } from '../ir/call.js';
import { C_TYPE, floatOf, roundFunction } from './c_types.js';

/** A block computes TILE×TILE results, DEPTH terms of their sums at a time. */
const TILE = 64;
const DEPTH = 16;
/** A thread computes 4×4 results, 16 rows and 16 columns apart. */
const THREADS = 256;
const MAX_GRID_Y = 65_535;

/** The same product as a kernel of ours. Throws for epilogues other than `bias`. */
export function gemmKernel({ gemm, operands, results, cost }: GemmStep): KernelStep {
  if (gemm.epilogue !== 'none' && gemm.epilogue !== 'bias')
    throw new Error(`no kernel computes the epilogue ${gemm.epilogue}`);
  const tiles = Math.ceil(gemm.M / TILE) * Math.ceil(gemm.N / TILE);
  return {
    kind: 'kernel',
    operands,
    results,
    cost,
    grid: [tiles, Math.min(gemm.batch, MAX_GRID_Y), 1],
    block: THREADS,
    source: (name) => sourceOf(name, gemm),
  };
}

function sourceOf(name: string, gemm: Gemm): string {
  const { M, N, K, batch, a, b, c } = gemm;
  const round = c.storage === 'bfloat16' ? roundFunction(`${name}_round`) : '';
  const bias = gemm.epilogue === 'bias' ? `, const ${C_TYPE[gemm.biasStorage]} *__restrict__ bias` : '';
  const tilesOfRow = Math.ceil(N / TILE);
  return `// c = ${gemm.alpha}·a·b for a [${M}, ${K}], b [${K}, ${N}], ${batch} times.
${round}extern "C" __global__ void __launch_bounds__(${THREADS}) ${name}(const ${C_TYPE[a.storage]} *__restrict__ a, const ${C_TYPE[b.storage]} *__restrict__ b${bias}, ${C_TYPE[c.storage]} *__restrict__ c) {
  __shared__ float aTile[${DEPTH}][${TILE + 1}];
  __shared__ float bTile[${DEPTH}][${TILE + 1}];
  const int thread = threadIdx.x, x = thread % 16, y = thread / 16;
  const int row = (int)blockIdx.x / ${tilesOfRow} * ${TILE}, column = (int)blockIdx.x % ${tilesOfRow} * ${TILE};
  for (int item = blockIdx.y; item < ${batch}; item += gridDim.y) {
    float sums[4][4] = {};
    for (int depth = 0; depth < ${K}; depth += ${DEPTH}) {
      for (int i = thread; i < ${TILE * DEPTH}; i += ${THREADS}) {
        {
${loadTile('a', a, { first: 'row', index: 'm', extent: M, K, isAlongK: !a.isTransposed })}
        }
        {
${loadTile('b', b, { first: 'column', index: 'n', extent: N, K, isAlongK: b.isTransposed })}
        }
      }
      __syncthreads();
      #pragma unroll
      for (int k = 0; k < ${DEPTH}; k++)
        for (int i = 0; i < 4; i++)
          for (int j = 0; j < 4; j++)
            sums[i][j] = fmaf(aTile[k][y + 16 * i], bTile[k][x + 16 * j], sums[i][j]);
      __syncthreads();
    }
    #pragma unroll
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) {
        const int m = row + y + 16 * i, n = column + x + 16 * j;
        if (m < ${M} && n < ${N}) {
          ${C_TYPE[c.storage]} *place = c + ${offset([
            ['item', c.batchStride],
            ['m', c.stride],
            ['n', 1],
          ])};
          *place = ${result(name, gemm)};
        }
      }
  }
}
`;
}

/** Which element of a tile a thread loads: neighbouring threads load neighbouring elements in memory. */
interface TileOptions {
  /** The variable with the first row of a, or column of b, in the tile. */
  readonly first: string;
  /** The variable that counts these rows or columns, and their number. */
  readonly index: 'm' | 'n';
  readonly extent: number;
  readonly K: number;
  /** Whether neighbours in memory differ in k. */
  readonly isAlongK: boolean;
}

function loadTile(operand: string, { storage, stride, batchStride }: GemmOperand, tile: TileOptions): string {
  const { first, index, extent, K, isAlongK } = tile;
  const [k, other] = isAlongK ? [`i % ${DEPTH}`, `i / ${DEPTH}`] : [`i / ${TILE}`, `i % ${TILE}`];
  const place = offset([
    ['item', batchStride],
    isAlongK ? [index, stride] : ['k', stride],
    isAlongK ? ['k', 1] : [index, 1],
  ]);
  return `          const int k = depth + ${k}, ${index} = ${first} + ${other};
          ${operand}Tile[${k}][${other}] = k < ${K} && ${index} < ${extent} ? ${floatOf(`${operand}[${place}]`, storage)} : 0.0f;`;
}

function offset(terms: readonly (readonly [variable: string, stride: number])[]): string {
  return terms
    .filter(([, stride]) => stride !== 0)
    .map(([variable, stride]) => (stride === 1 ? variable : `${variable} * ${stride}`))
    .join(' + ');
}

/** The value that a thread writes to `*place`. */
function result(name: string, { alpha, beta, epilogue, biasStorage, c }: Gemm): string {
  let value = alpha === 1 ? 'sums[i][j]' : `${floatText(alpha)} * sums[i][j]`;
  if (beta !== 0) value += ` + ${floatText(beta)} * ${floatOf('*place', c.storage)}`;
  if (epilogue === 'bias') value += ` + ${floatOf('bias[n]', biasStorage)}`;
  return c.storage === 'bfloat16' ? `${name}_round(${value})` : value;
}

/** A finite number as a float of C. */
function floatText(value: number): string {
  const text = String(Math.fround(value));
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
