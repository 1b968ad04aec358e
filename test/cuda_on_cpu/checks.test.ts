/** @file What the stand-in refuses: each with the code of CUDA and a sentence that says what is wrong. */
import { beforeEach, expect, it } from 'vitest';
import {
  allocate,
  check,
  cu,
  describeStandIn,
  download,
  functionOf,
  launch,
  loadModule,
  result,
  standIn,
  start,
  upload,
} from './bindings.js';
import { isSanitized } from './index.js';

/** For what the sanitizers find themselves: they end the process. */
const itWithoutSanitizers = it.skipIf(isSanitized);

const FILL = `
extern "C" __global__ void __launch_bounds__(64) fill(float *__restrict__ o) {
  o[blockIdx.x * 64 + threadIdx.x] = 1.0f;
}
`;

beforeEach(() => start());

/** Expects a code and a problem that names the function. */
function expectRefusal(code: number, expected: number, problem: RegExp): void {
  expect(standIn.lastProblem()).toMatch(problem);
  expect(code).toBe(expected);
}

/** Launches a kernel of one source with one pointer, and waits. */
function run(body: string, block: number, floats = 4096): number {
  const source = `extern "C" __global__ void __launch_bounds__(1024) k(float *__restrict__ o) {\n${body}\n}\n`;
  const code = launch(functionOf(loadModule(source), 'k'), {
    grid: [1, 1, 1],
    block,
    args: [allocate(4 * floats)],
  });
  return code || cu.cuCtxSynchronize();
}

describeStandIn('memory', () => {
  it('must be one allocation for the whole of a copy or memset', () => {
    const [a, b] = [allocate(1000), allocate(1000)];
    const host = Buffer.alloc(2000);
    expectRefusal(cu.cuMemcpyHtoDAsync_v2(a, host, 1001, null), 1, /HtoD.*target.*1001 bytes.*goes beyond/);
    expectRefusal(cu.cuMemcpyDtoHAsync_v2(host, a + 1, 1000, null), 1, /DtoH.*source.*goes beyond/);
    expectRefusal(cu.cuMemcpyDtoDAsync_v2(a, b + 501, 500, null), 1, /DtoD.*source.*goes beyond/);
    expectRefusal(cu.cuMemcpyDtoDAsync_v2(a, a + 100, 200, null), 1, /overlap/);
    expectRefusal(cu.cuMemsetD8Async(a, 0, 1001, null), 1, /memset.*goes beyond/);
    expectRefusal(cu.cuMemsetD32Async(a, 0, 251, null), 1, /memset.*goes beyond/);
    expectRefusal(cu.cuMemsetD32Async(a + 2, 0, 1, null), 1, /multiple of 4/);
    expectRefusal(cu.cuMemsetD8Async(64, 0, 1, null), 1, /no device memory/);
    check(cu.cuMemsetD32Async(a, 0, 250, null));
  });

  it('is filled with NaN when it is new', () => {
    expect([...download(new Float32Array(3), allocate(12))]).toEqual([NaN, NaN, NaN]);
  });

  it('is freed once, and not used later', () => {
    const a = allocate(100);
    check(cu.cuMemFree_v2(a));
    expectRefusal(cu.cuMemFree_v2(a), 1, /freed before/);
    expectRefusal(cu.cuMemFree_v2(a + 4), 1, /not the start/);
    expectRefusal(cu.cuMemsetD8Async(a, 0, 1, null), 1, /freed memory/);
    const kernel = functionOf(loadModule(FILL), 'fill');
    expectRefusal(
      launch(kernel, { grid: [1, 1, 1], block: 64, args: [a] }),
      700,
      /argument 0 of kernel fill.*freed/,
    );
  });

  itWithoutSanitizers('notices what a kernel writes behind an allocation when it is freed', () => {
    const a = allocate(4 * 64);
    check(launch(functionOf(loadModule(FILL), 'fill'), { grid: [2, 1, 1], block: 64, args: [a] }));
    expectRefusal(cu.cuMemFree_v2(a), 700, /past the end of the allocation of 256 bytes/);
  });

  it('is limited to CUDA_ON_CPU_MEMORY', () => {
    start({ CUDA_ON_CPU_MEMORY: '1000' });
    allocate(600);
    expectRefusal(cu.cuMemAlloc_v2([0], 401), 2, /401 bytes do not fit: 600 of 1000/);
    const [free, total] = [[0], [0]];
    check(cu.cuMemGetInfo_v2(free, total));
    expect([free[0], total[0]].map(Number)).toEqual([400, 1000]);
  });

  it('is counted, and what is live when the context ends', () => {
    const [a, b] = [allocate(100), allocate(50)];
    check(cu.cuMemFree_v2(a));
    expect(standIn.counters()).toMatchObject({ allocations: 2, frees: 1, bytesInUse: 50, peakBytes: 150 });
    expect(standIn.liveAllocations()).toEqual([{ address: b, bytes: 50 }]);
    check(cu.cuDevicePrimaryCtxRelease_v2(0));
    expect(standIn.counters()).toMatchObject({ leakedAllocations: 1, bytesInUse: 0 });
    expectRefusal(cu.cuMemAlloc_v2([0], 1), 201, /context.*destroyed/);
    expectRefusal(cu.cuDevicePrimaryCtxRelease_v2(0), 201, /more often than retained/);
  });
});

describeStandIn('a launch', () => {
  const code = (grid: [number, number, number], block: number, args = [allocate(64)]) =>
    launch(functionOf(loadModule(FILL), 'fill'), { grid, block, args });

  it.each([
    [[0, 1, 1], 64, 1, /is empty/],
    [[1, 1, 1], 0, 1, /is empty/],
    [[1, 65536, 1], 64, 1, /larger than/],
    [[1, 1, 65536], 64, 1, /larger than/],
    [[2 ** 31, 1, 1], 64, 1, /larger than/],
    [[1, 1, 1], 1025, 1, /more than 1024 threads/],
    [[1, 1, 1], 65, 701, /65 threads.*launch bounds of 64/],
  ] as const)('of grid %j and block %d gives code %d', (grid, block, expected, problem) => {
    expectRefusal(code([...grid], block), expected, problem);
  });

  it('needs the right number of arguments, and pointers into memory', () => {
    expectRefusal(code([1, 1, 1], 64, [1, 2]), 1, /8 bytes of arguments, the buffer 16/);
    expectRefusal(code([1, 1, 1], 64, [12345]), 700, /argument 0 of kernel fill.*no device memory/);
    expectRefusal(code([1, 1, 1], 64, [0]), 700, /argument 0/);
  });

  it('fails when only some threads reach a barrier, and makes the context useless', () => {
    expectRefusal(
      run('if (threadIdx.x < 40) __syncthreads();', 64),
      719,
      /kernel k, block \(0, 0, 0\): .*40 threads wait at __syncthreads in line 2, 24 threads have ended/,
    );
    expect(cu.cuCtxSynchronize()).toBe(719);
    expectRefusal(cu.cuMemAlloc_v2([0], 1), 719, /cuMemAlloc_v2: .*useless: kernel k, block/);
  });

  it.each([
    [
      'different barriers',
      'if (threadIdx.x < 32) __syncthreads();\nelse __syncthreads();',
      /line 2 and others in line 3/,
    ],
    [
      'a shuffle without some lanes',
      'if (threadIdx.x < 5) o[0] = __shfl_xor_sync(~0u, 1.0f, 1);',
      /5 threads wait for their warp/,
    ],
    ['a shuffle with a mask', 'o[0] = __shfl_sync(0xffffu, 1.0f, 1);', /mask 0xffff/],
  ])('fails with %s', (_, body, problem) => {
    expectRefusal(run(body, 64), 719, problem);
  });

  itWithoutSanitizers.each([
    ['a misaligned vector', 'o[threadIdx.x] = ((const float4 *)(o + 1))->x;', 716, /not aligned/],
    [
      'memory that does not exist',
      '*(float *)(8ull * threadIdx.x + 64) = 1.0f;',
      700,
      /memory that does not exist/,
    ],
    ['a division of integers by zero', 'int z = (int)o[0] & 0; o[0] = 7 / z;', 719, /divided by zero/],
  ])('fails with %s', (_, body, expected, problem) => {
    expectRefusal(run(`if (threadIdx.x == 3) { ${body} }`, 32), expected, problem);
    start();
    expectRefusal(run(`__syncthreads();\nif (threadIdx.x == 3) { ${body} }`, 32), expected, problem);
  });

  it('reads NaN from lanes that do not exist', () => {
    const source = `extern "C" __global__ void __launch_bounds__(40) k(float *__restrict__ o) {
      o[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 8);
    }`;
    const o = upload(new Float32Array(40));
    check(launch(functionOf(loadModule(source), 'k'), { grid: [1, 1, 1], block: 40, args: [o] }));
    const values = [...download(new Float32Array(40), o)];
    expect(values).toEqual(Array.from({ length: 40 }, (_, i) => (i < 32 ? 1 : NaN)));
  });

  itWithoutSanitizers('is not possible with too much shared memory', () => {
    const source = (
      floats: number,
    ) => `extern "C" __global__ void __launch_bounds__(32) k(float *__restrict__ o) {
      __shared__ float s[${floats}];
      s[threadIdx.x] = 1;
      o[threadIdx.x] = s[threadIdx.x];
    }`;
    const kernel = functionOf(loadModule(source(12288)), 'k');
    expect(result<number>((out) => cu.cuFuncGetAttribute(out, 1, kernel))).toBe(49152);
    const module = loadModule(source(12289));
    expectRefusal(cu.cuModuleGetFunction([null], module, 'k'), 218, /49156 bytes of static shared memory/);
  });
});

describeStandIn('handles', () => {
  it.each([
    ['cuStreamDestroy_v2', (out: [unknown]) => cu.cuStreamCreate(out, 1)],
    ['cuEventDestroy_v2', (out: [unknown]) => cu.cuEventCreate(out, 0)],
    [
      'cuModuleUnload',
      (out: [unknown]) => {
        out[0] = loadModule(FILL);
        return 0;
      },
    ],
  ])('are refused by a second %s', (name, create) => {
    const handle = result(create);
    check(cu[name](handle));
    expectRefusal(cu[name](handle), 400, new RegExp(`${name}.*has been destroyed`));
  });

  it('of modules and functions must exist', () => {
    const module = loadModule(FILL);
    expectRefusal(cu.cuModuleGetFunction([null], module, 'other'), 500, /no kernel other/);
    expectRefusal(cu.cuModuleLoadDataEx([null], Buffer.alloc(100), 0, null, null), 200, /not made by/);
  });

  it('need cuInit, and a context in the thread', () => {
    check(cu.cuCtxSetCurrent(null));
    expectRefusal(cu.cuMemAlloc_v2([0], 1), 201, /no context is current/);
    standIn.reset();
    expectRefusal(cu.cuMemAlloc_v2([0], 1), 3, /cuInit/);
  });
});

describeStandIn('a planned failure', () => {
  it('happens at the n-th call, once', () => {
    standIn.fail('cuMemAlloc_v2', 2, 2);
    const codes = [1, 2, 3].map(() => cu.cuMemAlloc_v2([0], 8));
    expect(codes).toEqual([0, 2, 0]);
    expect(standIn.callsOf('cuMemAlloc_v2')).toBe(3);
    expect(standIn.counters().allocations).toBe(2);
  });
});

describeStandIn('errors', () => {
  it('have names and texts', () => {
    expect(result<string>((out) => cu.cuGetErrorName(700, out))).toBe('CUDA_ERROR_ILLEGAL_ADDRESS');
    expect(result<string>((out) => cu.cuGetErrorString(2, out))).toBe('out of memory');
    expect(cu.cuGetErrorName(12345, [''])).toBe(1);
  });
});

describeStandIn('a device', () => {
  it('has what the environment says', () => {
    start({ CUDA_ON_CPU_CAPABILITY: '9.0', CUDA_ON_CPU_DEVICES: '2', CUDA_ON_CPU_MEMORY: '12345' });
    const attribute = (number: number) => result<number>((out) => cu.cuDeviceGetAttribute(out, number, 1));
    expect([attribute(75), attribute(76)]).toEqual([9, 0]);
    expect(result<number>((out) => cu.cuDeviceGetCount(out))).toBe(2);
    expect(Number(result<number>((out) => cu.cuDeviceTotalMem_v2(out, 1)))).toBe(12345);
    expectRefusal(cu.cuDeviceGet([0], 2), 101, /no device 2/);
    const text = Buffer.alloc(20);
    check(cu.cuDeviceGetPCIBusId(text, 20, 1));
    expect(text.toString('utf8', 0, 12)).toBe('0000:02:00.0');
    expectRefusal(cu.cuDeviceGetAttribute([0], 9999, 0), 1, /attribute 9999/);
  });
});
