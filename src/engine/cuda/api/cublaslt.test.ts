/** @file cuBLASLt: descriptions on a library of JavaScript functions, and on the real one where the wheels are there. */
import { describe, expect, it } from 'vitest';
import { type FakeFunctions, fakeLibrary } from '../../../../test/support/fake_library.js';
import { cudaLibrary, wheelsFolder } from '../../../../test/support/nvidia_wheels.js';
import type { Epilogue, Gemm } from '../compile/program.js';
import { CublasLt, loadCublasLt } from './cublaslt.js';

const EPILOGUES: (Epilogue | 'none')[] = ['none', 'bias', 'bias-grad'];

function gemm(change: Partial<Gemm> = {}): Gemm {
  return {
    ...{ M: 3, N: 16, K: 5, batch: 1, alpha: 1, beta: 0, compute: 'float32', epilogue: 'none' },
    a: { storage: 'float32', isTransposed: false, stride: 5, batchStride: 0 },
    b: { storage: 'float32', isTransposed: false, stride: 16, batchStride: 0 },
    c: { storage: 'float32', stride: 16, batchStride: 0 },
    biasStorage: 'float32',
    alignment: 256,
    ...change,
  } as Gemm;
}

/** A library whose handles count up and whose search finds an algorithm that uses 512 bytes. */
function fake(functions: FakeFunctions = {}) {
  let handle = 100;
  const create = (out: BigUint64Array) => {
    out[0] = BigInt(handle++);
    return 0;
  };
  const library = fakeLibrary({
    ...Object.fromEntries(['cublasLtCreate', 'cublasLtMatmulDescCreate'].map((name) => [name, create])),
    cublasLtMatrixLayoutCreate: create,
    cublasLtMatmulPreferenceCreate: create,
    cublasLtMatmulAlgoGetHeuristic: (...args: unknown[]) => {
      const [result, found] = args.slice(8) as [Uint8Array, BigUint64Array];
      result.fill(7, 0, 64);
      new DataView(result.buffer).setBigUint64(64, 512n, true);
      found[0] = 1n;
      return 0;
    },
    ...functions,
  });
  return { lt: new CublasLt(library.handle), calls: library.calls };
}

/** The attributes that a fake library was given, as `handle.attribute=value`. */
function attributes(calls: ReturnType<typeof fake>['calls'], name: string): string[] {
  return calls
    .filter((call) => call.name === name)
    .map(({ args: [handle, attribute, bytes, size] }) => {
      const view = new DataView((bytes as Uint8Array).buffer);
      return `${handle}.${attribute}=${size === 4 ? view.getInt32(0, true) : `${view.getBigInt64(0, true)}n`}`;
    });
}

describe('CublasLt', () => {
  it.each([
    [false, false, [16, 5, 16], [5, 3, 5]],
    [true, false, [16, 5, 16], [3, 5, 3]],
    [false, true, [5, 16, 5], [5, 3, 5]],
    [true, true, [5, 16, 5], [3, 5, 3]],
  ])('swaps the operands and describes them by columns (a %s, b %s)', (a, b, first, second) => {
    const { lt, calls } = fake();
    lt.plan(
      gemm({
        a: { storage: 'float32', isTransposed: a, stride: a ? 3 : 5, batchStride: 0 },
        b: { storage: 'float32', isTransposed: b, stride: b ? 5 : 16, batchStride: 0 },
      }),
      0,
    );
    const layouts = calls.filter(({ name }) => name === 'cublasLtMatrixLayoutCreate');
    expect(layouts.map(({ args }) => args.slice(2))).toEqual([first, second, [16, 3, 16]]);
    const operation = attributes(calls, 'cublasLtMatmulDescSetAttribute');
    expect(operation.slice(0, 2)).toEqual([`103.3=${Number(b)}`, `103.4=${Number(a)}`]);
  });

  it('describes batches, types and epilogues', () => {
    const { lt, calls } = fake();
    const bfloat16 = { storage: 'bfloat16', isTransposed: false } as const;
    lt.plan(
      gemm({
        ...{ batch: 4, epilogue: 'bias', biasStorage: 'bfloat16', compute: 'tf32' },
        a: { ...bfloat16, stride: 5, batchStride: 15 },
        b: { ...bfloat16, stride: 16, batchStride: 0 },
        c: { storage: 'bfloat16', stride: 16, batchStride: 48 },
      }),
      4096,
    );
    expect(attributes(calls, 'cublasLtMatrixLayoutSetAttribute')).toEqual([
      ...['100.5=4', '100.6=0n', '101.5=4', '101.6=15n', '102.5=4', '102.6=48n'],
    ]);
    const [operation] = calls.filter(({ name }) => name === 'cublasLtMatmulDescCreate');
    expect(operation.args.slice(1)).toEqual([68, 0]);
    expect(attributes(calls, 'cublasLtMatmulDescSetAttribute').slice(2)).toEqual([
      ...['103.7=4', '103.26=14', '103.8=256n'],
    ]);
    expect(attributes(calls, 'cublasLtMatmulPreferenceSetAttribute')).toEqual([
      ...['104.1=4096n', '104.3=6', '104.5=256', '104.6=256', '104.7=256', '104.8=256'],
    ]);
  });

  it('uses TF32 for float32 only when asked', () => {
    const { lt, calls } = fake();
    lt.plan(gemm(), 0);
    lt.plan(gemm({ compute: 'tf32' }), 0);
    const operations = calls.filter(({ name }) => name === 'cublasLtMatmulDescCreate');
    expect(operations.map(({ args }) => args[1])).toEqual([68, 77]);
  });

  it('runs with the operands swapped, and sets the pointer to the bias when it changes', () => {
    const { lt, calls } = fake();
    const plan = lt.plan(gemm({ alpha: 2, beta: 0.5, epilogue: 'bias' }), 4096);
    expect(plan?.workspaceBytes).toBe(512);
    if (!plan) return;
    calls.length = 0;
    for (const bias of [256, 256, 512]) lt.run(plan, { a: 1024, b: 2048, c: 4096, bias }, 8192, 77);
    expect(attributes(calls, 'cublasLtMatmulDescSetAttribute')).toEqual(['103.8=256n', '103.8=512n']);
    const [{ args }] = calls.filter(({ name }) => name === 'cublasLtMatmul');
    const [alpha, beta] = [args[2], args[7]] as Float32Array[];
    expect([alpha[0], beta[0]]).toEqual([2, 0.5]);
    expect([args[3], args[5], args[8], args[10]]).toEqual([2048, 1024, 4096, 4096]);
    expect(args.slice(13)).toEqual([8192, 512, 77]);
  });

  it('refuses addresses that the search did not promise', () => {
    const { lt } = fake();
    const plan = lt.plan(gemm(), 4096);
    const pointers = { a: 1024, b: 2048, c: 4096 };
    if (!plan) throw new Error('no plan');
    expect(() => lt.run(plan, pointers, 8192, 77)).not.toThrow();
    for (const change of [{ a: 1040 }, { b: 2049 }, { c: 4112 }])
      expect(() => lt.run(plan, { ...pointers, ...change }, 8192, 77)).toThrow(RangeError);
    expect(() => lt.run(plan, pointers, 8200, 77)).toThrow(RangeError);
  });

  it('makes a plan once and frees all it made', () => {
    const { lt, calls } = fake();
    expect(lt.plan(gemm(), 0)).toBe(lt.plan(gemm(), 0));
    lt.dispose();
    const count = (pattern: RegExp) => calls.filter(({ name }) => pattern.test(name)).length;
    expect(count(/Create$/)).toBe(6);
    expect(count(/Destroy$/)).toBe(6);
  });

  it('has no plan where the library has no algorithm, and frees what it made', () => {
    for (const heuristic of [() => 15, () => 7, () => 0]) {
      const { lt, calls } = fake({ cublasLtMatmulAlgoGetHeuristic: heuristic });
      expect(lt.plan(gemm(), 0)).toBeNull();
      lt.dispose();
      const count = (pattern: RegExp) => calls.filter(({ name }) => pattern.test(name)).length;
      expect(count(/Destroy$/)).toBe(count(/Create$/));
    }
    const { lt } = fake();
    const mixed = { storage: 'bfloat16', isTransposed: false, stride: 5, batchStride: 0 } as const;
    expect(lt.plan(gemm({ a: mixed }), 0)).toBeNull();
  });

  it('names failures', () => {
    const { lt } = fake({
      cublasLtCreate: () => 1,
      cublasLtGetStatusName: () => 'CUBLAS_STATUS_NOT_INITIALIZED',
      cublasLtGetStatusString: () => 'the library was not initialized',
    });
    expect(() => lt.plan(gemm(), 0)).toThrow(
      'cublasLtCreate failed: the library was not initialized (CUBLAS_STATUS_NOT_INITIALIZED, 1)',
    );
  });
});

/** The message of the error that `action` throws, null if it throws none. */
function failure(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

describe.runIf(wheelsFolder)('the real cuBLASLt', () => {
  const lt = wheelsFolder ? loadCublasLt(cudaLibrary('libcublasLt.so.13')) : null;

  it('has a version', () => {
    expect(lt?.version).toBeGreaterThan(130000);
  });

  // Without a GPU, cublasLtCreate is the first call that fails; all descriptions are made before it.
  it.each(EPILOGUES)('takes every attribute of the epilogue %s', (epilogue) => {
    for (const storage of ['float32', 'bfloat16'] as const) {
      const operand = { storage, isTransposed: true, stride: 32, batchStride: 1024 };
      const product = gemm({ batch: 3, epilogue, a: operand, b: operand, c: operand, biasStorage: storage });
      expect(failure(() => lt?.plan(product, 32 * 2 ** 20)) ?? 'cublasLtCreate').toContain('cublasLtCreate');
    }
  });
});
