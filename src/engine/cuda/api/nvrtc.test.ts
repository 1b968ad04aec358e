/** @file NVRTC: the real compiler where the wheels are there. */
import { describe, expect, it } from 'vitest';
import { nvrtcPath, wheelsFolder } from '../../../../test/support/nvidia_wheels.js';
import { CudaError } from './error.js';
import { chooseArchitecture, loadNvrtc } from './nvrtc.js';

const SCALE = `
extern "C" __global__ void __launch_bounds__(256) scale(const float *__restrict__ a, float *__restrict__ b) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  b[i] = erff(a[i]) + fmaf(a[i], 2.0f, 1.0f);
}`;

describe.runIf(wheelsFolder)('Nvrtc', () => {
  const nvrtc = wheelsFolder ? loadNvrtc(nvrtcPath()) : null;

  it('knows its version and architectures', () => {
    expect(nvrtc?.version[0]).toBe(13);
    expect(nvrtc?.architectures).toEqual(expect.arrayContaining([75, 80, 86, 89, 90, 120]));
  });

  it.each([75, 80, 86, 89, 90, 120])('compiles a cubin for sm_%i', (architecture) => {
    const { cubin, log } = nvrtc?.compile(SCALE, architecture) ?? { cubin: new Uint8Array(), log: '?' };
    expect(Buffer.from(cubin.subarray(0, 4)).toString('latin1')).toBe('\x7fELF');
    expect(Buffer.from(cubin).includes('scale')).toBe(true);
    expect(log).toBe('');
  });

  it("passes the compiler's messages on", () => {
    const compile = () => nvrtc?.compile(SCALE.replace('int i', 'intt i'), 90);
    expect(compile).toThrow(CudaError);
    expect(compile).toThrow(/identifier "intt" is undefined[\s\S]*NVRTC_ERROR_COMPILATION, 6/);
    expect(() => nvrtc?.compile(SCALE, 12)).toThrow(/nvrtcCompileProgram failed/);
  });
});

describe('chooseArchitecture', () => {
  const cuda13 = {
    architectures: [75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121],
    version: [13, 0],
  } as const;

  it.each([
    [[9, 0], 90],
    [[8, 9], 89],
    [[12, 1], 121],
    [[12, 9], 121],
    [[10, 1], 100],
  ] as const)('%s → %i', (capability, expected) => {
    expect(chooseArchitecture(cuda13, capability)).toBe(expected);
  });

  it('takes no newer one of the same generation', () => {
    expect(chooseArchitecture({ architectures: [80, 89], version: [12, 0] }, [8, 6])).toBe(80);
  });

  it('says which CUDA is needed', () => {
    expect(() => chooseArchitecture(cuda13, [7, 0])).toThrow(
      'CUDA 13.0 cannot compile for this GPU (compute capability 7.0): it needs CUDA 12 or older',
    );
    expect(() => chooseArchitecture(cuda13, [13, 0])).toThrow('it needs a newer CUDA');
  });
});
