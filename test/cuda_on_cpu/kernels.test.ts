/** @file CUDA kernels on the CPU: the same results as on a GPU, in any order of threads and blocks. */
import koffi from 'koffi';
import { expect, it } from 'vitest';
import {
  allocate,
  check,
  compile,
  cu,
  describeStandIn,
  download,
  functionOf,
  launch,
  loadModule,
  standIn,
  start,
  upload,
} from './bindings.js';
import { isSanitized } from './index.js';

const ADD = `
extern "C" __global__ void __launch_bounds__(256) add(const float *__restrict__ a, const float *__restrict__ b, float *__restrict__ o) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) o[i] = a[i] + b[i];
}
`;

/** Rows of 1,000 numbers; a warp's maximum and sum by shuffles, a block's through shared memory. */
const SOFTMAX = `
__device__ __forceinline__ float block_max(float v, float *s) {
  for (int k = 16; k; k >>= 1) v = fmaxf(v, __shfl_xor_sync(~0u, v, k));
  if ((threadIdx.x & 31) == 0) s[threadIdx.x >> 5] = v;
  __syncthreads();
  v = s[0];
  for (int i = 1; i < 8; i++) v = fmaxf(v, s[i]);
  __syncthreads();
  return v;
}
extern "C" __global__ void __launch_bounds__(256) softmax(const float *__restrict__ x, float *__restrict__ y) {
  __shared__ float s[8];
  const float *row = x + (size_t)blockIdx.x * 1000;
  float m = -__int_as_float(0x7f800000), t = 0;
  for (int i = threadIdx.x; i < 1000; i += 256) m = fmaxf(m, row[i]);
  m = block_max(m, s);
  for (int i = threadIdx.x; i < 1000; i += 256) t += expf(row[i] - m);
  for (int k = 16; k; k >>= 1) t += __shfl_down_sync(~0u, t, k);
  if ((threadIdx.x & 31) == 0) s[threadIdx.x >> 5] = t;
  __syncthreads();
  t = 0;
  for (int i = 0; i < 8; i++) t += s[i];
  for (int i = threadIdx.x; i < 1000; i += 256) y[(size_t)blockIdx.x * 1000 + i] = expf(row[i] - m) / t;
}
`;

const ATOMICS = `
extern "C" __global__ void __launch_bounds__(128) sum(const float *__restrict__ x, unsigned long long *__restrict__ total, float *__restrict__ floats, int *__restrict__ most) {
  const int i = blockIdx.x * 128 + threadIdx.x;
  atomicAdd(total + i % 3, (unsigned long long)__float2ll_rn(x[i] * 1048576.0f));
  atomicAdd(floats, 1.0f);
  atomicMax(most, (int)x[i]);
}
`;

const STRUCT = `
struct Entries2 { float *target[2]; const float *source[2]; long long count[2]; };
extern "C" __global__ void __launch_bounds__(256) scale(Entries2 e) {
  const long long i = blockIdx.x * 256 + threadIdx.x;
  if (i < e.count[blockIdx.y]) e.target[blockIdx.y][i] = 2.0f * e.source[blockIdx.y][i];
}
`;

/** Each thread reads what its neighbour has left in shared memory, which nobody has set before. */
const ORDER = `
extern "C" __global__ void __launch_bounds__(64) order(int *__restrict__ counter, int *__restrict__ places, float *__restrict__ fresh) {
  __shared__ float s[64];
  fresh[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x];
  places[blockIdx.x * 64 + threadIdx.x] = atomicAdd(counter, 1);
  s[threadIdx.x] = 1;
}
`;

const numbers = (count: number, f: (i: number) => number) =>
  Float32Array.from({ length: count }, (_, i) => f(i));
const SETTINGS: Record<string, string>[] = [
  {},
  { CUDA_ON_CPU_SEED: '1' },
  { CUDA_ON_CPU_SEED: '2', CUDA_ON_CPU_QUEUE: '0' },
  { CUDA_ON_CPU_THREADS: '3' },
];

describeStandIn.each(SETTINGS)('the stand-in with %o', (variables) => {
  it('adds vectors', () => {
    start(variables);
    const a = numbers(1000, Math.sin);
    const b = numbers(1000, Math.cos);
    const o = allocate(4000);
    const kernel = functionOf(loadModule(ADD), 'add');
    check(launch(kernel, { grid: [4, 1, 1], args: [upload(a), upload(b), o] }));
    expect(download(new Float32Array(1000), o)).toEqual(a.map((value, i) => value + b[i]));
  });

  it('computes softmax with shuffles and barriers', () => {
    start(variables);
    const x = numbers(7000, (i) => 3 * Math.sin(i * 0.37));
    const y = allocate(28000);
    const kernel = functionOf(loadModule(SOFTMAX), 'softmax');
    check(launch(kernel, { grid: [7, 1, 1], args: [upload(x), y] }));
    const computed = download(new Float32Array(7000), y);
    for (let row = 0; row < 7; row++) {
      const values = [...x.subarray(1000 * row, 1000 * row + 1000)].map(Math.exp);
      const sum = values.reduce((left, right) => left + right);
      const worst = Math.max(...values.map((value, i) => Math.abs(value / sum - computed[1000 * row + i])));
      expect(worst).toBeLessThan(1e-8);
    }
  });

  it('adds with atomics of 64 bits, floats and maxima', () => {
    start(variables);
    const x = numbers(1280, (i) => i % 100);
    const total = upload(new BigUint64Array(3));
    const floats = upload(new Float32Array(1));
    const most = upload(new Int32Array(1));
    const kernel = functionOf(loadModule(ATOMICS), 'sum');
    check(launch(kernel, { grid: [10, 1, 1], block: 128, args: [upload(x), total, floats, most] }));
    const sums = [0, 0, 0];
    for (const [i, value] of x.entries()) sums[i % 3] += value;
    expect(download(new BigUint64Array(3), total)).toEqual(
      BigUint64Array.from(sums, (sum) => BigInt(sum) << 20n),
    );
    expect(download(new Float32Array(1), floats)[0]).toBe(1280);
    expect(download(new Int32Array(1), most)[0]).toBe(99);
  });

  it('passes a struct with pointers by value', () => {
    start(variables);
    const sources = [numbers(300, Math.sin), numbers(10, Math.cos)];
    const targets = [allocate(1200), allocate(40)];
    const kernel = functionOf(loadModule(STRUCT), 'scale');
    const args = [...targets, ...sources.map((source) => upload(source)), 300, 10];
    check(launch(kernel, { grid: [2, 2, 1], args }));
    for (const [i, source] of sources.entries()) {
      expect(download(new Float32Array(source.length), targets[i])).toEqual(source.map((value) => 2 * value));
    }
  });
});

describeStandIn('the order of threads', () => {
  const orderWith = (variables: Record<string, string>) => {
    start(variables);
    const [counter, places, fresh] = [upload(new Int32Array(1)), allocate(1024), allocate(1024)];
    const kernel = functionOf(loadModule(ORDER), 'order');
    check(launch(kernel, { grid: [4, 1, 1], block: 64, args: [counter, places, fresh] }));
    if (!isSanitized) expect([...download(new Float32Array(256), fresh)].every(Number.isNaN)).toBe(true);
    return [...download(new Int32Array(256), places)];
  };
  const natural = Array.from({ length: 256 }, (_, i) => i);

  it('is natural without a seed', () => {
    expect(orderWith({})).toEqual(natural);
  });

  it('is another permutation for each seed, and shared memory starts with NaN', () => {
    const first = orderWith({ CUDA_ON_CPU_SEED: '1' });
    const second = orderWith({ CUDA_ON_CPU_SEED: '2' });
    expect(first.toSorted((a, b) => a - b)).toEqual(natural);
    expect(second.toSorted((a, b) => a - b)).toEqual(natural);
    expect(first).not.toEqual(natural);
    expect(first).not.toEqual(second);
  });
});

describeStandIn('the compiler', () => {
  it('takes arguments by kernelParams', () => {
    start();
    const a = upload(numbers(1000, (i) => i));
    const o = allocate(4000);
    const kernel = functionOf(loadModule(ADD), 'add');
    const values = [a, a, o].map((address) => BigUint64Array.of(BigInt(address)));
    const pointers = BigUint64Array.from(values, (value) => koffi.address(value));
    check(cu.cuLaunchKernel(kernel, 4, 1, 1, 256, 1, 1, 0, null, pointers, null));
    expect(download(new Float32Array(1000), o)[999]).toBe(1998);
  });

  it('runs g++ once for a source', () => {
    start();
    const source = `${ADD}// ${process.pid} ${process.hrtime.bigint()}\n`;
    loadModule(source);
    expect(standIn.counters().compilations).toBe(1);
    loadModule(source);
    expect(standIn.counters().compilations).toBe(1);
  });

  it('refuses what g++ refuses, with the place in the source', () => {
    start();
    const { code, log, image } = compile(ADD.replace('a[i]', 'nothing[i]'));
    expect(code).toBe(6);
    expect(log).toMatch(/test\.cu:4:.*nothing/s);
    expect(image.length).toBe(0);
  });

  it.each([
    ['an include', `#include <math.h>\n${ADD}`, /no directories in search list/],
    ['a kernel without launch bounds', ADD.replace('__launch_bounds__(256)', ''), /needs the form/],
    ['a function that CUDA has not', ADD.replace('a[i] +', 'printf("x") +'), /printf/],
  ])('refuses %s', (_, source, message) => {
    start();
    const { code, log } = compile(source);
    expect(code).toBe(6);
    expect(log).toMatch(message);
  });

  it.each([
    [['--gpu-architecture=sm_999'], 5],
    [['--unknown'], 5],
    [['-O3'], 5],
    [['--fmad=maybe'], 5],
    [['--gpu-architecture=sm_90', '--minimal', '-default-device', '--fmad=true'], 0],
    [['-arch', 'sm_86'], 0],
  ])('with the options %j gives code %d', (options, code) => {
    start();
    expect(compile(ADD, options).code).toBe(code);
  });

  it('gives no cubin for a virtual architecture', () => {
    start();
    expect(compile(ADD, ['--gpu-architecture=compute_80']).image.length).toBe(0);
  });

  it('loads a cubin on devices of its major version only', () => {
    start({ CUDA_ON_CPU_CAPABILITY: '8.6' });
    const images = [80, 86, 89, 90].map((arch) => compile(ADD, [`-arch=sm_${arch}`]).image);
    expect(images.map((image) => cu.cuModuleLoadDataEx([null], image, 0, null, null))).toEqual([
      0, 0, 209, 209,
    ]);
  });
});
