/** @file The program of the self-test: compares kernels on the GPU with the CPU's, and measures products on both. */
import { sizeOf } from '../../formats/host_tensor.js';
import { Rng } from '../../util/random.js';
import type { PowerPreference } from '../gpu/dawn_order.js';
import { machineProbe } from '../probe.js';
import { chooseCoreThreads } from '../threads.js';
import { loadOrtApi } from './c_api.js';
import { GPU_KERNELS, ONNX_KERNELS } from './kernel_set.js';
import type { OrtTensor } from './ort_tensor.js';
import { type KernelInput, type KernelRun, runOnce } from './run_once.js';
import { OrtRuntime } from './runtime.js';
import type { SelfTestResult } from './self_test.js';
import { ortLibrary, startRuntime } from './start.js';

/** Largest difference, relative to the largest value. */
const TOLERANCE = 1e-4;
/** Rows and columns of the matrices whose product is timed. */
const GPU_ROWS = 2048;
const CPU_ROWS = 1024;
const TIMED_SECONDS = 0.2;

const rng = new Rng(1);
const floats = (...shape: number[]): KernelInput => {
  return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => rng.uniformBetween(-1, 1)) };
};
const index = { shape: [300, 8], data: Int32Array.from({ length: 2400 }, () => rng.int(90)) };
const qkv = floats(1, 70, 96);

const CASES = [
  {
    name: 'Linear',
    inputs: { x: floats(130, 70), weight: floats(90, 70), bias: floats(90) },
    attributes: {},
  },
  { name: 'LayerNorm', inputs: { x: floats(37, 96) }, attributes: { eps: 1e-6, width: 96 } },
  { name: 'Gelu', inputs: { x: floats(999) }, attributes: {} },
  { name: 'SelfAttention', inputs: { qkv }, attributes: { heads: 2, scale: 0.25 } },
  {
    name: 'SelfAttentionGrad',
    inputs: { dy: floats(1, 70, 32), qkv, out: floats(1, 70, 32) },
    attributes: { heads: 2, scale: 0.25 },
  },
  {
    name: 'WeightedRowSum',
    inputs: { table: floats(90, 16), index, weight: floats(300, 8) },
    attributes: {},
  },
] as unknown as KernelRun<'Linear'>[];

/** Throws if a kernel has other results on the GPU. */
function compare(cpu: OrtRuntime, gpu: OrtRuntime): void {
  for (const run of CASES) {
    const expected = runOnce({ runtime: cpu, kernels: ONNX_KERNELS }, run);
    const got = runOnce({ runtime: gpu, kernels: GPU_KERNELS }, run);
    for (const [i, values] of expected.entries()) {
      const scale = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      const isWrong = values.some((value, j) => !(Math.abs(value - got[i][j]) <= TOLERANCE * scale));
      if (isWrong) throw new Error(`${run.name} has other results than on the CPU`);
    }
  }
}

/** Measures square matrix products, in GFLOP/s. */
function productSpeed(runtime: OrtRuntime, rows: number): number {
  const value = (name: string) => ({ name, type: 'float32' as const, shape: [rows, rows] });
  const node = {
    name: 'n0',
    op: 'MatMul',
    domain: '',
    inputs: ['i0', 'i1'],
    outputs: ['o0'],
    attributes: {},
  };
  const graph = {
    nodes: [node],
    inputs: [value('i0'), value('i1')],
    outputs: [value('o0')],
    constants: [],
  };
  const session = runtime.createSession(graph, [{ shape: [rows, rows], dtype: 'float32' }]);
  const [a, b] = [floats(rows, rows), floats(rows, rows)].map(({ shape, data }) => {
    const tensor = runtime.allocate(shape, 'float32');
    tensor.write(data);
    return tensor;
  });
  const multiply = (times: number) => {
    const results: OrtTensor[] = [];
    for (let i = 0; i < times; i++) results.push(...runtime.run(session, [a, b]));
    results.at(-1)?.read();
    for (const result of results) result.release();
  };
  multiply(1);
  let times = 1;
  for (;;) {
    const start = performance.now();
    multiply(times);
    const seconds = (performance.now() - start) / 1000;
    if (seconds > TIMED_SECONDS || times >= 64) return (times * 2 * rows ** 3) / seconds / 1e9;
    times *= 2;
  }
}

function selfTest(): SelfTestResult {
  try {
    const probe = machineProbe();
    // Native kernels are not compared, so they need not be compiled here.
    const api = loadOrtApi(ortLibrary(probe) as string);
    const cpu = new OrtRuntime(api, { threads: chooseCoreThreads(probe) });
    const powerPreference = process.argv[2] as PowerPreference;
    const gpu = startRuntime(probe, { strict: true }, { powerPreference, maxBufferBytes: 2 ** 28 });
    compare(cpu, gpu);
    return { gpuGflops: productSpeed(gpu, GPU_ROWS), cpuGflops: productSpeed(cpu, CPU_ROWS) };
  } catch (error) {
    return { failure: (error as Error).message.split('\n')[0] };
  }
}

process.send?.(selfTest());
