/** @file The driver's functions on a library of JavaScript functions. */
import { describe, expect, it } from 'vitest';
import { type FakeFunctions, fakeLibrary } from '../../../../test/support/fake_library.js';
import { ArgumentBuffer } from './argument_buffer.js';
import { CudaDriver } from './driver.js';
import { CudaError } from './error.js';

function driver(functions: FakeFunctions) {
  const library = fakeLibrary(functions);
  return { cuda: new CudaDriver(library.handle), calls: library.calls };
}

describe('CudaDriver', () => {
  it('reads results of 32 and 64 bits', () => {
    const { cuda } = driver({
      cuDriverGetVersion: (out: BigUint64Array) => {
        new Int32Array(out.buffer)[0] = 13000;
        return 0;
      },
      cuMemAlloc_v2: (out: BigUint64Array, bytes: number) => {
        out[0] = 0x7f12_3456_7800n + BigInt(bytes);
        return 0;
      },
      cuMemGetInfo_v2: (free: BigUint64Array, total: BigUint64Array) => {
        [free[0], total[0]] = [5n, 7n];
        return 0;
      },
      cuEventElapsedTime: (out: BigUint64Array) => {
        new Float32Array(out.buffer)[0] = 1.5;
        return 0;
      },
    });
    expect(cuda.version()).toBe(13000);
    expect(cuda.allocate(0x100)).toBe(0x7f12_3456_7900);
    expect(cuda.memory()).toEqual({ free: 5, total: 7 });
    expect(cuda.elapsedMilliseconds(1, 2)).toBe(1.5);
  });

  it('writes a UUID as nvidia-smi does', () => {
    const { cuda } = driver({
      cuDeviceGetUuid_v2: (bytes: Uint8Array) => {
        bytes.set(Array.from({ length: 16 }, (_, i) => 16 * i + 1));
        return 0;
      },
    });
    expect(cuda.deviceUuid(0)).toBe('GPU-01112131-4151-6171-8191-a1b1c1d1e1f1');
  });

  it('tells work that is not done from failures', () => {
    const codes = [600, 0, 700];
    const { cuda } = driver({ cuEventQuery: () => codes.shift() });
    expect(cuda.isEventDone(1)).toBe(false);
    expect(cuda.isEventDone(1)).toBe(true);
    expect(() => cuda.isEventDone(1)).toThrow(CudaError);
  });

  it('launches with packed arguments', () => {
    const { cuda, calls } = driver({});
    const args = new ArgumentBuffer();
    args.push(0x7f00_0000_0100);
    cuda.launch(11, { grid: [2, 3, 4], block: 256 }, args, 22);
    expect(calls).toEqual([{ name: 'cuLaunchKernel', args: [11, 2, 3, 4, 256, 1, 1, 0, 22, 0, args.extra] }]);
  });

  it('clears words of 4 bytes where it can', () => {
    const { cuda, calls } = driver({});
    cuda.clear({ address: 256, stream: 9 }, 12);
    cuda.clear({ address: 256, stream: 9 }, 13);
    expect(calls.map(({ name, args }) => [name, ...args])).toEqual([
      ['cuMemsetD32Async', 256, 0, 3, 9],
      ['cuMemsetD8Async', 256, 0, 13, 9],
    ]);
  });

  it('knows an error of a code that the driver does not name', () => {
    const { cuda } = driver({ cuInit: () => 999999, cuGetErrorName: () => 1, cuGetErrorString: () => 1 });
    expect(() => cuda.init()).toThrow('cuInit failed: unknown code (999999)');
  });
});

describe('CudaError', () => {
  it('says what a code means, and knows when memory is out', () => {
    const memory = new CudaError('cuMemAlloc', 2, 'CUDA_ERROR_OUT_OF_MEMORY', 'out of memory');
    expect(memory.message).toBe(
      'cuMemAlloc failed: out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2). The GPU has too little free memory.',
    );
    expect(memory.isOutOfMemory).toBe(true);
    const other = new CudaError('cublasLtMatmul', 15, 'CUBLAS_STATUS_NOT_SUPPORTED', '');
    expect(other.message).toBe('cublasLtMatmul failed: CUBLAS_STATUS_NOT_SUPPORTED (15)');
    expect(other.isOutOfMemory).toBe(false);
    expect(new CudaError('f', 3, 'CUBLAS_STATUS_ALLOC_FAILED', '').isOutOfMemory).toBe(true);
  });
});

describe('ArgumentBuffer', () => {
  it('packs addresses and integers into 8 bytes each', () => {
    const args = new ArgumentBuffer();
    const values = [0, 0x7fff_ffff_ff00, 2 ** 31, 2 ** 32 - 1, -1, -(2 ** 40) - 5, Number.MAX_SAFE_INTEGER];
    for (const value of values) args.push(value);
    const bytes = args.bytes().slice();
    expect([...new BigInt64Array(bytes.buffer)]).toEqual(values.map(BigInt));
    args.clear();
    expect(args.length).toBe(0);
  });

  it('refuses more than a kernel takes', () => {
    const args = new ArgumentBuffer();
    for (let i = 0; i < 512; i++) args.push(i);
    expect(args.length).toBe(4096);
    expect(() => args.push(0)).toThrow(RangeError);
  });
});
