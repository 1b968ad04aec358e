/** @file Which GPU the onnx engine takes, and why it takes none, on machines made of facts. */
import { describe, expect, it } from 'vitest';
import { fakeGpu, fakeVulkan, LLVMPIPE } from '../../../test/support/fake_gpus.js';
import { type FakeMachine, fakeProbe } from '../../../test/support/fake_probe.js';
import type { GpuDevice } from '../gpu/device.js';
import { Gpus } from '../gpu/gpus.js';
import { OnnxGpuEngine } from './gpu_engine.js';
import type { SelfTestResult } from './self_test.js';

// The engine of the tests would be one that already runs on the CPU.
process.env.STMIXER_TEST_ENGINE = 'cpu';

const LIBRARY = '/nm/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1';
const ORT = { '/nm/onnxruntime-node/package.json': '{}', [LIBRARY]: '' };
const RENDER_NODE = { '/dev/dri/renderD128': '' };
const H100 = fakeGpu({ name: 'NVIDIA H100' });

function engineOn(
  devices: readonly GpuDevice[],
  { machine = {}, result }: { machine?: FakeMachine; result?: SelfTestResult } = {},
) {
  const probe = fakeProbe({ files: { ...ORT, ...RENDER_NODE }, ...machine });
  const gpus = new Gpus(probe, fakeVulkan(devices, probe.env));
  return new OnnxGpuEngine(probe, gpus, async () => {
    if (!result) throw new Error('no self-test was expected');
    return result;
  });
}

describe('the onnx engine on a GPU', () => {
  it('has no problem with a real GPU', () => {
    expect(engineOn([H100]).problems({})).toEqual([]);
  });

  it('takes a software GPU only if a GPU is asked for', () => {
    const engine = engineOn([LLVMPIPE]);
    expect(engine.problems({})[0].what).toMatch(/only llvmpipe/);
    expect(engine.problems({ device: 'gpu' })).toEqual([]);
  });

  it('describes all GPUs, and says which ones compute on the processor', () => {
    expect(engineOn([H100, LLVMPIPE]).detail()).toMatch(
      /^0: NVIDIA H100, driver NVIDIA 550\.54\.15, 80\.00 GiB\n1: llvmpipe.*only if you ask for it\)$/,
    );
    expect(engineOn([]).detail()).toBeUndefined();
  });

  it('asks no driver on a machine without signs of a GPU, unless a GPU is asked for', () => {
    const engine = engineOn([H100], { machine: { files: ORT } });
    expect(engine.problems({})[0].what).toMatch(/shows no GPU/);
    expect(engine.isWorthANote()).toBe(false);
    expect(engine.problems({ device: 'gpu' })).toEqual([]);
  });

  it('says that ONNX Runtime for linux arm64 has no WebGPU provider', () => {
    const library = LIBRARY.replace('x64', 'arm64');
    const files = { '/nm/onnxruntime-node/package.json': '{}', [library]: '' };
    const engine = engineOn([H100], { machine: { arch: 'arm64', files } });
    expect(engine.problems({ device: 'gpu' })[0].what).toMatch(/no WebGPU provider/);
  });

  it.each<[string, SelfTestResult, RegExp]>([
    ['computes wrong results', { failure: 'Gelu has other results' }, /H100 fails the self-test: Gelu has/],
    [
      'is slower than the processor',
      { gpuGflops: 50.2, cpuGflops: 171 },
      /computes 50 GFLOP\/s, the processor 171/,
    ],
  ])('is not taken by auto if the GPU %s', async (_, result, message) => {
    await expect(engineOn([H100], { result }).start({ device: 'auto' })).rejects.toThrow(message);
  });
});
