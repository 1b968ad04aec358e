/** @file A device on the stand-in for CUDA: copies, kernels, graphs, products, failures and leaks. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canBuildCudaOnCpu, loadCudaOnCpu } from '../../../../test/cuda_on_cpu/index.js';
import { fakeProbe } from '../../../../test/support/fake_probe.js';
import { temporaryFolder, temporaryFolderOfFile } from '../../../../test/support/temporary_files.js';
import { OutOfMemoryError } from '../../../errors.js';
import { ArgumentBuffer } from '../api/argument_buffer.js';
import { CudaError } from '../api/error.js';
import type { Epilogue, Gemm } from '../compile/program.js';
import { findCudaLibraries } from '../libraries.js';
import { loadCuda, readDriverVersion } from '../load.js';
import { CudaTensor, CudaTensorMemory } from './cuda_tensor.js';
import { CudaDevice } from './device.js';

const MIB = 2 ** 20;
const KERNELS = `
extern "C" __global__ void __launch_bounds__(256) scale(const float *__restrict__ a, float *__restrict__ b) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  b[i] = 2.0f * a[i];
}
extern "C" __global__ void __launch_bounds__(256) add(const float *__restrict__ a, float *__restrict__ b) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  b[i] = a[i] + b[i];
}
`;
const SCALE = { grid: [2, 1, 1], block: 256, label: 'Scale 7' } as const;

describe.runIf(canBuildCudaOnCpu())('CudaDevice on the stand-in', () => {
  const standIn = canBuildCudaOnCpu() ? loadCudaOnCpu() : null!;
  const cache = canBuildCudaOnCpu() ? temporaryFolderOfFile() : '';
  let devices: CudaDevice[] = [];
  const args = new ArgumentBuffer();

  beforeEach(() => {
    for (const name of Object.keys(process.env))
      if (name.startsWith('CUDA_ON_CPU_')) delete process.env[name];
    standIn.reset();
    devices = [];
  });
  afterEach(() => {
    for (const device of devices) device.dispose();
    expect(standIn.liveAllocations()).toEqual([]);
    expect(standIn.counters().leakedAllocations).toBe(0);
  });

  /** Opens the stand-in's GPU as a program does. */
  function open(env: Record<string, string> = {}): CudaDevice {
    const { libraries } = findCudaLibraries({
      probe: fakeMachine(standIn.folder),
      driverVersion: readDriverVersion,
    });
    if (!libraries) throw new Error('the stand-in was not found');
    const device = CudaDevice.open(loadCuda(libraries), {
      ordinal: 0,
      env: { XDG_CACHE_HOME: cache, ...env },
    });
    devices.push(device);
    return device;
  }

  /** A block with the content of an array. */
  function block(device: CudaDevice, data: Float32Array) {
    const result = device.allocate(data.byteLength);
    device.upload(result, new Uint8Array(data.buffer));
    return result;
  }

  const floats = (bytes: Uint8Array) => new Float32Array(bytes.buffer as ArrayBuffer);
  const numbers = (length: number) => Float32Array.from({ length }, (_, i) => i % 1000);

  function launch(device: CudaDevice, name: 'scale' | 'add', from: number, to: number): void {
    args.clear();
    args.push(from);
    args.push(to);
    device.launch(device.loadModule(KERNELS).function(name), SCALE, args);
  }

  it('describes the GPU', () => {
    const { info, architecture } = open();
    expect(info.computeCapability[0] * 10 + info.computeCapability[1]).toBe(architecture);
    expect(info.uuid).toMatch(/^GPU-[0-9a-f]{8}-/);
    for (const value of [info.multiprocessors, info.memoryBytes, info.l2Bytes, info.memoryClockKHz])
      expect(value).toBeGreaterThan(0);
  });

  it('copies, computes, and copies back in order', async () => {
    const device = open();
    const data = numbers(512);
    const [a, b] = [block(device, data), device.allocate(4 * 512)];
    data.fill(-1);
    launch(device, 'scale', a.address, b.address);
    device.upload(a, new Uint8Array(4 * 512));
    const expected = [...numbers(512)].map((x) => 2 * x);
    expect([...floats(await device.download(b))]).toEqual(expected);
    expect([...floats(device.downloadSync(b, 12))]).toEqual([0, 2, 4]);
    device.clear(b.address, 8);
    expect([...floats(device.downloadSync(b, 12))]).toEqual([0, 0, 4]);
    expect(() => device.upload(b, new Uint8Array(4 * 513))).toThrow(RangeError);
  });

  it('copies more than the pinned memory holds, some of it while others read', async () => {
    const device = open();
    const large = new Float32Array(20 * MIB);
    for (let i = 0; i < large.length; i++) large[i] = i;
    const tensor = block(device, large);
    const reading = device.download(tensor);
    const small = block(device, Float32Array.of(1, 2, 3));
    const others = Array.from({ length: 40 }, () => device.download(small, 12));
    tensor.release();
    const later = device.allocate(large.byteLength);
    device.clear(later.address, large.byteLength);
    expect([...floats(device.downloadSync(small, 12))]).toEqual([1, 2, 3]);
    expect(Buffer.compare(Buffer.from(large.buffer), await reading)).toBe(0);
    for (const other of await Promise.all(others)) expect([...floats(other)]).toEqual([1, 2, 3]);
    expect(Buffer.compare(Buffer.alloc(later.bytes), device.downloadSync(later))).toBe(0);
    device.upload(later, new Uint8Array(large.buffer));
    expect(Buffer.compare(Buffer.from(large.buffer), device.downloadSync(later))).toBe(0);
  });

  it('uploads small content without waiting for the work before it', () => {
    const device = open();
    const target = device.allocate(256);
    standIn.resetCounters();
    for (let i = 0; i < 3000; i++) device.upload(target, Uint8Array.of(i, i >> 8));
    expect(standIn.callsOf('cuStreamSynchronize')).toBe(0);
    expect(standIn.callsOf('cuEventCreate')).toBeLessThanOrEqual(1024);
    expect([...device.downloadSync(target, 2)]).toEqual([2999 & 255, 2999 >> 8]);
  });

  it('waits without blocking', async () => {
    const device = open();
    const a = block(device, numbers(512));
    launch(device, 'scale', a.address, a.address);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    await device.synchronize();
    clearInterval(timer);
    expect(standIn.callsOf('cuStreamSynchronize')).toBe(0);
    expect(floats(device.downloadSync(a, 8))[1]).toBe(2);
  });

  it('compiles a source once for all processes, and names what is wrong with one', () => {
    const folder = temporaryFolder();
    const env = { XDG_CACHE_HOME: folder };
    const device = open(env);
    expect(device.loadModule(KERNELS)).toBe(device.loadModule(KERNELS));
    expect(readdirSync(join(folder, 'stmixer', 'cuda'))).toHaveLength(1);
    device.dispose();
    devices = [];
    standIn.reset();
    const again = open(env);
    again.loadModule(KERNELS);
    expect(standIn.callsOf('nvrtcCompileProgram')).toBe(0);
    expect(standIn.counters().modulesLoaded).toBe(1);
    expect(() => again.loadModule(KERNELS.replace('const int i', 'const intt i'))).toThrow(
      /nvrtcCompileProgram failed: [\s\S]*intt/,
    );
    expect(() => again.loadModule(KERNELS).function('none')).toThrow(/cuModuleGetFunction failed/);
  });

  it('writes the sources where STMIXER_CUDA_SOURCE says', () => {
    const folder = join(temporaryFolder(), 'sources');
    open({ STMIXER_CUDA_SOURCE: folder }).loadModule(KERNELS);
    const [file] = readdirSync(folder);
    expect(readFileSync(join(folder, file), 'utf8')).toBe(KERNELS);
  });

  it('captures work, and runs it often', () => {
    const device = open();
    const [a, b] = [block(device, numbers(512)), block(device, numbers(512))];
    launch(device, 'add', a.address, b.address);
    const graph = device.capture('the step', () => launch(device, 'add', a.address, b.address));
    expect(floats(device.downloadSync(b, 12))[1]).toBe(2);
    device.launchGraph(graph);
    device.launchGraph(graph);
    expect(floats(device.downloadSync(b, 12))[1]).toBe(4);
    device.freeGraph(graph);
    expect(standIn.callsOf('cuGraphExecDestroy')).toBe(1);
  });

  it('refuses what a capture cannot hold, and is usable afterwards', () => {
    const device = open();
    const a = block(device, numbers(512));
    for (const work of [
      () => device.upload(a, new Uint8Array(4)),
      () => device.downloadSync(a),
      () => device.allocate(device.info.memoryBytes / 4),
    ])
      expect(() => device.capture('bad', work)).toThrow(/while a CUDA graph is captured/);
    const free = device.capture('good', () => device.clear(device.allocate(256).address, 256));
    device.launchGraph(free);
    expect(floats(device.downloadSync(a, 8))[1]).toBe(1);
  });

  it('names the launch that failed', () => {
    const device = open();
    const a = block(device, numbers(512));
    standIn.fail('cuLaunchKernel', 1, 701);
    expect(() => launch(device, 'scale', a.address, a.address)).toThrow(
      /^cuLaunchKernel for Scale 7 failed: .*more registers or shared memory/,
    );
    standIn.fail('cuGraphLaunch', 1, 700);
    const graph = device.capture('the step', () => launch(device, 'scale', a.address, a.address));
    expect(() => device.launchGraph(graph)).toThrow(/^cuGraphLaunch for the step failed/);
  });

  it('waits after each launch if STMIXER_CUDA_SYNC=1', () => {
    const device = open({ STMIXER_CUDA_SYNC: '1' });
    const a = block(device, numbers(512));
    standIn.fail('cuStreamSynchronize', 1, 700);
    expect(() => launch(device, 'scale', a.address, a.address)).toThrow(
      /^cuStreamSynchronize for Scale 7 failed: /,
    );
    const graph = device.capture('the step', () => launch(device, 'scale', a.address, a.address));
    standIn.fail('cuStreamSynchronize', 1, 719);
    expect(() => device.launchGraph(graph)).toThrow(CudaError);
  });

  it.each([
    [{}, true],
    [{ STMIXER_CUDA_GRAPHS: '0' }, false],
    [{ STMIXER_CUDA_SYNC: '1' }, false],
  ])('lets repeated work be captured as the environment says: %o', (env, usesGraphs) => {
    expect(open(env).usesGraphs).toBe(usesGraphs);
  });

  it('explains that memory is out', () => {
    process.env.CUDA_ON_CPU_MEMORY = String(256 * MIB);
    standIn.reset();
    const device = open();
    expect(device.info.memoryBytes).toBe(256 * MIB);
    const half = device.allocate(100 * MIB);
    expect(() => device.allocate(200 * MIB)).toThrow(OutOfMemoryError);
    half.release();
    device.allocate(200 * MIB);
  });

  it('keeps tensors', async () => {
    const device = open();
    const memory = new CudaTensorMemory(device);
    const cases = [
      memory.allocate([2, 3], 'float32'),
      memory.allocate([6], 'int32'),
      memory.allocate([3, 2], 'bool'),
      new CudaTensor(device, [6], 'bfloat16', device.allocate(12)),
    ];
    const contents = [Float32Array, Int32Array, Uint8Array, Float32Array].map((Type) =>
      Type.from([1, 0, 1, 1, 0, 1]),
    );
    for (const [i, tensor] of cases.entries()) {
      tensor.write(contents[i]);
      expect(tensor.read()).toEqual(contents[i]);
      expect(await tensor.readAsync()).toEqual(contents[i]);
      expect(tensor.peek()).toBeNull();
    }
    expect(cases.map(({ dtype, layout, bytes }) => [dtype, layout, bytes])).toEqual([
      ...[
        ['float32', undefined, 24],
        ['int32', undefined, 24],
        ['bool', undefined, 6],
      ],
      ['float32', 'bfloat16', 12],
    ]);
    cases[3].lend(Float32Array.of(1.00390625, -2, 3, 1e38, 0, 5));
    expect(cases[3].read()[0]).toBe(1);
    expect(() => cases[0].write(new Float32Array(5))).toThrow(TypeError);
    expect(() => cases[1].write(new Float32Array(6))).toThrow(TypeError);
    const reading = cases[0].readAsync();
    for (const tensor of cases) tensor.release();
    expect(await reading).toEqual(contents[0]);
    expect(() => cases[0].address).toThrow('used after its release');
    expect(() => cases[0].release()).toThrow('used after its release');
    expect(device.region.blocks).toBe(0);
  });

  it('ends the context when it cannot be opened', () => {
    const standsFor = (call: string) => {
      standIn.reset();
      standIn.fail(call, 1, 2);
      expect(() => open()).toThrow(`${call.replace(/_v2$/, '')} failed`);
      expect(standIn.callsOf('cuDevicePrimaryCtxRelease_v2')).toBe(1);
    };
    standsFor('cuStreamCreate');
    standsFor('cuMemHostAlloc');
  });

  describe('a product', () => {
    const EPILOGUES: (Epilogue | 'none')[] = ['none', 'bias', 'bias-grad'];
    const [M, N, K] = [24, 16, 8];

    /** Products of each transposition, on one GPU. */
    it.each(EPILOGUES)('with the epilogue %s has the rows and columns of row-major operands', (epilogue) => {
      const device = open();
      for (const [ta, tb] of [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ])
        for (const batch of [1, 3]) {
          if (batch > 1 && epilogue === 'bias-grad') continue;
          checkProduct(device, { epilogue, ta, tb, batch });
        }
    });

    interface Case {
      readonly epilogue: Epilogue | 'none';
      readonly ta: boolean;
      readonly tb: boolean;
      readonly batch: number;
    }

    function checkProduct(device: CudaDevice, { epilogue, ta, tb, batch }: Case): void {
      const operand = { storage: 'float32', batchStride: 0 } as const;
      const gemm: Gemm = {
        ...{ M, N, K, batch, alpha: 0.5, beta: 0, compute: 'float32', epilogue, biasStorage: 'float32' },
        alignment: 4,
        a: { ...operand, isTransposed: ta, stride: ta ? M : K, batchStride: M * K },
        b: { ...operand, isTransposed: tb, stride: tb ? K : N, batchStride: K * N },
        c: { ...operand, stride: N, batchStride: M * N },
      };
      const random = (length: number, seed: number) =>
        Float32Array.from({ length }, (_, i) => Math.sin(seed + 1.7 * i));
      const [a, b] = [random(batch * M * K, 1), random(batch * K * N, 2)];
      const bias = random(Math.max(M, N), 3);
      const blocks = [a, b, new Float32Array(batch * M * N), bias].map((data) => block(device, data));
      const plan = device.cublasLt?.plan(gemm, 4 * MIB);
      if (!plan) throw new Error(`no algorithm for ${epilogue}`);
      const workspace = device.allocate(plan.workspaceBytes);
      const [pa, pb, pc, pBias] = blocks.map(({ address }) => address);
      device.queue('MatMul', () =>
        device.cublasLt?.run(plan, { a: pa, b: pb, c: pc, bias: pBias }, workspace.address, device.stream),
      );
      const [c, biasOut] = [2, 3].map((i) => floats(device.downloadSync(blocks[i])));
      const at = (batchIndex: number, m: number, n: number) => {
        let sum = 0;
        for (let k = 0; k < K; k++)
          sum +=
            a[batchIndex * M * K + (ta ? k * M + m : m * K + k)] *
            b[batchIndex * K * N + (tb ? n * K + k : k * N + n)];
        return 0.5 * sum;
      };
      for (let i = 0; i < batch; i++)
        for (let m = 0; m < M; m++)
          for (let n = 0; n < N; n++) {
            const place = (i * M + m) * N + n;
            expect(c[place]).toBeCloseTo(at(i, m, n) + (epilogue === 'bias' ? bias[n] : 0), 4);
          }
      if (epilogue === 'bias-grad')
        for (let m = 0; m < M; m++) {
          let sum = 0;
          for (let k = 0; k < K; k++) sum += a[ta ? k * M + m : m * K + k];
          expect(biasOut[m]).toBeCloseTo(sum, 4);
        }
      for (const one of [...blocks, workspace]) one.release();
    }
  });
});

/** A machine that has nothing but the stand-in. */
function fakeMachine(folder: string) {
  const names = readdirSync(folder);
  return fakeProbe({
    env: { STMIXER_CUDA_PATH: folder },
    files: Object.fromEntries(names.map((name) => [`${folder}/${name}`, ''])),
  });
}
