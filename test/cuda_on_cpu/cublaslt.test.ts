/** @file Products of the stand-in for cuBLASLt against plain loops, and its descriptors against those of the real library. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  allocate,
  bind,
  CUBLASLT_DESCRIPTORS,
  check,
  cu,
  describeStandIn,
  download,
  type Functions,
  type Handle,
  result,
  standIn,
  start,
  upload,
} from './bindings.js';
import { canBuildCudaOnCpu } from './index.js';

const F32 = 0;
const BF16 = 14;
const COMPUTE_32F = 68;
const COMPUTE_TF32 = 77;
const EPILOGUE = {
  none: 1,
  bias: 4,
  bgrada: 256,
  bgradb: 512,
};

let handle: Handle;

beforeEach(() => {
  start();
  handle = result((out) => cu.cublasLtCreate(out));
});

/** A bfloat16 as its bits, rounded to even, and back. */
const toBits = (value: number) => {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
};
const fromBits = (bits: number) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0];
const toTf32 = (value: number) => {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  return new Float32Array(Uint32Array.of((bits + 0xfff + ((bits >>> 13) & 1)) & ~0x1fff).buffer)[0];
};

/** Numbers in [-1, 1] as the data type holds them. */
function numbers(count: number, type: number, seed: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const value = Math.fround(Math.sin(seed + i * 1.7));
    return type === BF16 ? fromBits(toBits(value)) : value;
  });
}

function uploadAs(type: number, values: Float64Array): number {
  return upload(type === BF16 ? Uint16Array.from(values, toBits) : Float32Array.from(values));
}

function downloadAs(type: number, count: number, address: number): Float64Array {
  if (type === F32) return Float64Array.from(download(new Float32Array(count), address));
  return Float64Array.from(download(new Uint16Array(count), address), fromBits);
}

const bytesOf = (type: number) => (type === BF16 ? 2 : 4);

interface Problem {
  M: number;
  N: number;
  K: number;
  batch: number;
  transA: boolean;
  transB: boolean;
  /** Type of A and B, and of C and D. */
  type: number;
  resultType: number;
  compute: number;
  alpha: number;
  beta: number;
  epilogue: number;
  /** Rows beyond the matrices in each column. */
  padding: number;
  /** Whether all products of the batch have the same B. */
  sharesB: boolean;
}

const PLAIN: Problem = {
  M: 24,
  N: 10,
  K: 17,
  batch: 1,
  transA: false,
  transB: false,
  type: F32,
  resultType: F32,
  compute: COMPUTE_32F,
  alpha: 1,
  beta: 0,
  epilogue: EPILOGUE.none,
  padding: 0,
  sharesB: false,
};

const int32 = (value: number) => Int32Array.of(value);
const int64 = (value: number) => BigInt64Array.of(BigInt(value));

function layout(
  type: number,
  rows: number,
  columns: number,
  ld: number,
  batch: number,
  stride: number,
): Handle {
  const made = result((out) => cu.cublasLtMatrixLayoutCreate(out, type, rows, columns, ld));
  check(cu.cublasLtMatrixLayoutSetAttribute(made, 5, int32(batch), 4));
  check(cu.cublasLtMatrixLayoutSetAttribute(made, 6, int64(stride), 8));
  return made;
}

function matmulDescriptor(problem: Problem, attributes: [number, ArrayBufferView][] = []): Handle {
  const made = result((out) => cu.cublasLtMatmulDescCreate(out, problem.compute, F32));
  const all: [number, ArrayBufferView][] = [
    [3, int32(problem.transA ? 1 : 0)],
    [4, int32(problem.transB ? 1 : 0)],
    [7, int32(problem.epilogue)],
    ...attributes,
  ];
  for (const [attribute, value] of all) {
    check(cu.cublasLtMatmulDescSetAttribute(made, attribute, value, value.byteLength));
  }
  return made;
}

/** Sizes of a problem's matrices as they lie in memory. */
function shapesOf({ M, N, K, transA, transB, padding, sharesB, batch }: Problem) {
  const a = transA ? [K, M] : [M, K];
  const b = transB ? [N, K] : [K, N];
  const matrix = ([rows, columns]: number[], isShared = false) => ({
    rows,
    columns,
    ld: rows + padding,
    stride: isShared ? 0 : (rows + padding) * columns,
    elements: (rows + padding) * columns * (isShared ? 1 : batch),
  });
  return { a: matrix(a), b: matrix(b, sharesB), c: matrix([M, N]), d: matrix([M, N]) };
}

interface Run {
  code: number;
  found: number;
  d: Float64Array;
  bias: Float64Array;
}

/** Inputs of a problem; the bias is as long as the epilogue needs it, also where it is written. */
function inputsOf(problem: Problem) {
  const shapes = shapesOf(problem);
  const biasLength = problem.epilogue === EPILOGUE.bgradb ? problem.N : problem.M;
  return {
    a: numbers(shapes.a.elements, problem.type, 1),
    b: numbers(shapes.b.elements, problem.type, 2),
    c: numbers(shapes.c.elements, problem.resultType, 3),
    bias: numbers(biasLength * problem.batch, problem.resultType, 4),
  };
}

/** Runs a problem on the stand-in with an algorithm of the heuristic. */
function run(problem: Problem): Run {
  const { type, resultType, batch } = problem;
  const shapes = shapesOf(problem);
  const inputs = inputsOf(problem);
  const [a, b] = [uploadAs(type, inputs.a), uploadAs(type, inputs.b)];
  const [c, bias] = [inputs.c, inputs.bias].map((values) => uploadAs(resultType, values));
  const d = allocate(shapes.d.elements * bytesOf(resultType));
  const matmul = matmulDescriptor(problem, [
    [8, int64(bias)],
    [10, int64(inputs.bias.length / batch)],
  ]);
  const layouts = (['a', 'b', 'c', 'd'] as const).map((name) => {
    const { rows, columns, ld, stride } = shapes[name];
    return layout(name === 'a' || name === 'b' ? type : resultType, rows, columns, ld, batch, stride);
  });
  const preference = result((out) => cu.cublasLtMatmulPreferenceCreate(out));
  check(cu.cublasLtMatmulPreferenceSetAttribute(preference, 1, int64(1 << 20), 8));
  const algorithm = Buffer.alloc(96);
  const found = [0];
  check(cu.cublasLtMatmulAlgoGetHeuristic(handle, matmul, ...layouts, preference, 1, algorithm, found));
  const workspaceBytes = Number(algorithm.readBigUInt64LE(64));
  const scalars = [problem.alpha, problem.beta].map((value) => Float32Array.of(value));
  const code = cu.cublasLtMatmul(
    handle,
    matmul,
    scalars[0],
    a,
    layouts[0],
    b,
    layouts[1],
    scalars[1],
    c,
    layouts[2],
    d,
    layouts[3],
    algorithm,
    allocate(workspaceBytes),
    workspaceBytes,
    null,
  );
  return {
    code,
    found: found[0],
    d: downloadAs(resultType, shapes.d.elements, d),
    bias: downloadAs(resultType, inputs.bias.length, bias),
  };
}

/** The same by plain loops, without the padding of D. */
function expected(problem: Problem) {
  const { M, N, K, batch, epilogue, alpha, beta, compute } = problem;
  const shapes = shapesOf(problem);
  const inputs = inputsOf(problem);
  const round = compute === COMPUTE_TF32 ? toTf32 : (value: number) => value;
  const d = new Float64Array(M * N * batch);
  const bias = inputs.bias.slice();
  if (epilogue === EPILOGUE.bgrada || epilogue === EPILOGUE.bgradb) bias.fill(0);
  const at = (name: 'a' | 'b' | 'c', g: number, row: number, column: number) =>
    inputs[name][g * shapes[name].stride + column * shapes[name].ld + row];
  const atA = (g: number, m: number, k: number) => (problem.transA ? at('a', g, k, m) : at('a', g, m, k));
  const atB = (g: number, k: number, n: number) => (problem.transB ? at('b', g, n, k) : at('b', g, k, n));
  for (let g = 0; g < batch; g++) {
    if (epilogue === EPILOGUE.bgrada) {
      for (let m = 0; m < M; m++) for (let k = 0; k < K; k++) bias[g * M + m] += atA(g, m, k);
    }
    if (epilogue === EPILOGUE.bgradb) {
      for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) bias[g * N + n] += atB(g, k, n);
    }
    for (let n = 0; n < N; n++) {
      for (let m = 0; m < M; m++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += round(atA(g, m, k)) * round(atB(g, k, n));
        const value = alpha * sum + (beta && beta * at('c', g, m, n));
        d[(g * N + n) * M + m] = value + (epilogue === EPILOGUE.bias ? bias[g * M + m] : 0);
      }
    }
  }
  return { d, bias };
}

/** D without its padding. */
function compact(problem: Problem, d: Float64Array): Float64Array {
  const { ld } = shapesOf(problem).d;
  return d.filter((_, i) => i % ld < problem.M);
}

const worst = (a: Float64Array, b: Float64Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]) || (value === b[i] ? 0 : Infinity)), 0);

describeStandIn.each([
  ['float32', { type: F32, resultType: F32 }, 1e-5],
  ['TF32', { type: F32, resultType: F32, compute: COMPUTE_TF32 }, 1e-5],
  ['bfloat16 with float32 results', { type: BF16, resultType: F32 }, 1e-5],
  ['bfloat16', { type: BF16, resultType: BF16 }, 0.08],
] as const)('a product in %s', (_, types, tolerance) => {
  it.each([
    ['plain', {}],
    ['with a transposed', { transA: true }],
    ['with b transposed', { transB: true }],
    ['with both transposed', { transA: true, transB: true, padding: 8 }],
    ['of a batch', { batch: 3, transB: true }],
    ['of a batch with one b', { batch: 3, sharesB: true, padding: 3 }],
    ['of odd sizes', { M: 1, N: 1, K: 1 }],
    ['of sizes beyond one block', { M: 250, N: 7, K: 260 }],
    ['scaled and added to c', { alpha: 0.5, beta: -2, padding: 8 }],
    ['with a bias', { epilogue: EPILOGUE.bias, batch: 2 }],
    ['with the sums of a', { epilogue: EPILOGUE.bgrada, transA: true }],
    ['with the sums of b', { epilogue: EPILOGUE.bgradb, transB: true, batch: 2 }],
  ] as const)('%s', (__, variant) => {
    const problem: Problem = { ...PLAIN, ...types, ...variant };
    const computed = run(problem);
    expect([computed.code, computed.found]).toEqual([0, 1]);
    const right = expected(problem);
    const limit = tolerance * (problem.K > 100 ? 4 : 1);
    expect(worst(right.d, compact(problem, computed.d))).toBeLessThan(limit);
    expect(worst(right.bias, computed.bias)).toBeLessThan(limit);
  });
});

describeStandIn('a product', () => {
  it('differs between float32 and TF32', () => {
    const exact = run(PLAIN).d;
    const rounded = run({ ...PLAIN, compute: COMPUTE_TF32 }).d;
    expect(worst(exact, rounded)).toBeGreaterThan(1e-5);
  });

  it('leaves the padding of its result alone', () => {
    const { d } = run({ ...PLAIN, padding: 8 });
    const padding = d.filter((_, i) => i % 32 >= 24);
    expect([...padding].every(Number.isNaN)).toBe(true);
  });
});

describeStandIn('the heuristic', () => {
  const heuristic = (
    problem: Problem,
    attributes: [number, ArrayBufferView][] = [],
    typeOfB = problem.type,
  ) => {
    const shapes = shapesOf(problem);
    const layouts = (['a', 'b', 'c', 'd'] as const).map((name) => {
      const type = name === 'a' ? problem.type : name === 'b' ? typeOfB : problem.resultType;
      return layout(type, shapes[name].rows, shapes[name].columns, shapes[name].ld, 1, 0);
    });
    const preference = result((out) => cu.cublasLtMatmulPreferenceCreate(out));
    const found = [7];
    const descriptor = matmulDescriptor(problem, attributes);
    const code = cu.cublasLtMatmulAlgoGetHeuristic(
      handle,
      descriptor,
      ...layouts,
      preference,
      1,
      Buffer.alloc(96),
      found,
    );
    return [code, found[0]];
  };

  it('asks for no workspace beyond the limit, which is none by default', () => {
    expect(heuristic(PLAIN)).toEqual([0, 1]);
  });

  it.each([
    ['bfloat16 results of float32 matrices', { resultType: BF16 }, [], F32],
    ['matrices of two types', {}, [], BF16],
    ['TF32 of bfloat16 matrices', { type: BF16, compute: COMPUTE_TF32 }, [], BF16],
    [
      'a float32 bias of bfloat16 results',
      { type: BF16, resultType: BF16, epilogue: EPILOGUE.bias },
      [[26, int32(F32)]],
      BF16,
    ],
    ['an unknown epilogue', { epilogue: 3 }, [], F32],
    ['GELU', { epilogue: 32 }, [], F32],
    ['the gradient of GELU', { epilogue: 192 }, [], F32],
    ['an auxiliary matrix', {}, [[11, int64(256)]], F32],
    ['pointers to alpha on the device', {}, [[2, int32(1)]], F32],
  ] as const)('finds nothing for %s', (_, variant, attributes, typeOfB) => {
    const found = heuristic(
      { ...PLAIN, ...variant },
      attributes.map(([a, value]) => [a, value]),
      typeOfB,
    );
    expect(found).toEqual([15, 0]);
  });

  it('takes any alignment', () => {
    expect(heuristic({ ...PLAIN, type: BF16, resultType: BF16, M: 3, N: 5, K: 7 })).toEqual([0, 1]);
  });
});

describeStandIn('a product is refused', () => {
  /** Runs a product of 8 × 8 matrices in 256 bytes each. */
  const multiply = (change: {
    a?: number;
    k?: number;
    ld?: number;
    workspace?: number;
    workspaceBytes?: number;
  }) => {
    const [a, b, d] = [0, 1, 2].map(() => upload(new Float32Array(64)));
    const matmul = matmulDescriptor(PLAIN);
    const layouts = [
      layout(F32, 8, change.k ?? 8, change.ld ?? 8, 1, 0),
      ...[0, 1, 2].map(() => layout(F32, 8, 8, 8, 1, 0)),
    ];
    const one = Float32Array.of(1);
    const workspace = change.workspace ?? 0;
    const bytes = change.workspaceBytes ?? 0;
    const [la, lb, lc, ld] = layouts;
    return cu.cublasLtMatmul(
      handle,
      matmul,
      one,
      change.a ?? a,
      la,
      b,
      lb,
      one,
      d,
      lc,
      d,
      ld,
      null,
      workspace,
      bytes,
      null,
    );
  };

  it.each([
    ['with shapes that do not fit', { k: 7 }, 7, /shapes do not fit/],
    ['with a leading dimension that is too small', { ld: 7 }, 7, /leading dimension 7/],
    ['with a matrix that is longer than its memory', { ld: 9 }, 7, /A .*goes beyond/],
    ['with a matrix outside of memory', { a: 64 }, 7, /A .*no device memory/],
    [
      'with a workspace outside of memory',
      { workspace: 64, workspaceBytes: 8 },
      7,
      /workspace.*no device memory/,
    ],
  ] as const)('%s', (_, change, code, problem) => {
    expect(multiply(change)).toBe(code);
    expect(standIn.lastProblem()).toMatch(problem);
  });

  it('and is not with all in order', () => {
    expect(multiply({})).toBe(0);
    check(cu.cuCtxSynchronize());
  });

  it('after its handle was destroyed', () => {
    check(cu.cublasLtDestroy(handle));
    expect(multiply({})).toBe(1);
    expect(cu.cublasLtDestroy(handle)).toBe(1);
  });
});

/** The results of setting and reading each attribute with each size, from a new descriptor. */
function attributeCodes(functions: Functions): unknown[] {
  const kinds = [
    ['MatmulDesc', 40, (out: [Handle]) => functions.cublasLtMatmulDescCreate(out, COMPUTE_32F, F32)],
    ['MatrixLayout', 10, (out: [Handle]) => functions.cublasLtMatrixLayoutCreate(out, F32, 8, 8, 8)],
    ['MatmulPreference', 14, (out: [Handle]) => functions.cublasLtMatmulPreferenceCreate(out)],
  ] as const;
  const codes: unknown[] = [];
  for (const [kind, count, create] of kinds) {
    for (let attribute = 0; attribute < count; attribute++) {
      for (const bytes of [0, 1, 2, 4, 8, 16]) {
        const out: [Handle] = [null];
        create(out);
        const value = Buffer.alloc(16);
        const written = [0];
        const get = functions[`cublasLt${kind}GetAttribute`](out[0], attribute, value, bytes, written);
        const read = get === 0 && bytes > 0 ? value.readIntLE(0, Math.min(bytes, 4)) : 0;
        const set = functions[`cublasLt${kind}SetAttribute`](out[0], attribute, Buffer.alloc(16, 1), bytes);
        functions[`cublasLt${kind}Destroy`](out[0]);
        codes.push(
          `${kind} ${attribute}, ${bytes} bytes: get ${get} ${read} ${Number(written[0])}, set ${set}`,
        );
      }
    }
  }
  return codes;
}

const wheels = process.env.STMIXER_NVIDIA_WHEELS ?? '';
const realLibrary = join(wheels, 'nvidia/cu13/lib/libcublasLt.so.13');

describe.runIf(canBuildCudaOnCpu() && wheels && existsSync(realLibrary))('the real cuBLASLt', () => {
  it('takes the same attributes with the same sizes, and has the same defaults', () => {
    expect(attributeCodes(cu)).toEqual(attributeCodes(bind(realLibrary, CUBLASLT_DESCRIPTORS)));
  });
});
