/** @file Each requirement of a GPU run is named if it is missing. */
import { describe, expect, it } from 'vitest';
import {
  CUDA_FILES,
  DRIVER_FILES,
  type FakeMachine,
  fakeProbe,
  H100,
  tensorflowFiles,
} from '../../../test/support/fake_probe.js';
import { cudaProblems, firstVisibleDevice, visibleGpu } from './cuda.js';

const GPU = '@tensorflow/tfjs-node-gpu';
const complete: FakeMachine = {
  files: {
    ...DRIVER_FILES,
    ...CUDA_FILES,
    ...tensorflowFiles(GPU, { record: { source: 'pip wheel tensorflow==2.21.0', cuda: true } }),
  },
  nvidiaSmi: H100,
};

function without(pattern: RegExp, change: Partial<FakeMachine> = {}): string[] {
  const files = Object.fromEntries(
    Object.entries(complete.files ?? {}).filter(([path]) => !pattern.test(path)),
  );
  return cudaProblems(fakeProbe({ ...complete, files, ...change })).map(
    ({ what, remedy }) => `${what} → ${remedy}`,
  );
}

const NOTHING = /^$/;

describe('cudaProblems', () => {
  it('finds no problem on a complete machine', () => {
    expect(without(NOTHING)).toEqual([]);
  });

  it.each<[string, string[], RegExp]>([
    [
      'no driver at all',
      without(/nvidia\/version|libcuda\.so/),
      /^no NVIDIA driver.*install NVIDIA's driver/,
    ],
    ['no driver library (a container)', without(/libcuda\.so/), /libcuda\.so\.1 is not found.*--gpus all/],
    ['no kernel module', without(/nvidia\/version/), /kernel module is not loaded/],
    ['no GPU package', without(/tfjs-node-gpu\/package/), /not installed.*npm install/],
    [
      'no binding',
      without(/tfjs_binding/),
      /native part .* is not set up.*npm run setup:tensorflow -- --gpu$/,
    ],
    ['no libtensorflow', without(/libtensorflow/), /libtensorflow is missing.*--gpu/],
    ['no cuDNN', without(/libcudnn/), /CUDA libraries are not found: libcudnn\.so.*LD_LIBRARY_PATH/],
    ['no CUDA runtime, no cuFFT', without(/libcudart|libcufft/), /libcudart\.so, libcufft\.so/],
  ])('explains %s', (_, problems, text) => {
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(text);
  });

  it('reports a libtensorflow that was built without CUDA', () => {
    const record = { source: 'pip wheel tensorflow-cpu==2.21.0', cuda: false };
    const files = { ...complete.files, ...tensorflowFiles(GPU, { record }) };
    expect(without(NOTHING, { files })[0]).toMatch(
      /\(pip wheel tensorflow-cpu==2\.21\.0\) was built without CUDA → run: .* --gpu --force/,
    );
  });

  it.each([
    ['1, GPU-1, Tesla K80, 3.7, 470.82\n', /Tesla K80 has compute capability 3\.7; libtensorflow needs 6\.0/],
    ['0, GPU-1, NVIDIA A100, 8.0, 470.82.01\n', /driver 470\.82\.01 is too old for CUDA 12/],
  ])('reports a GPU or driver that is too old: %s', (nvidiaSmi, text) => {
    expect(without(NOTHING, { nvidiaSmi }).join('\n')).toMatch(text);
  });

  it.each(['', '-1'])("reports that CUDA_VISIBLE_DEVICES='%s' hides the GPUs", (value) => {
    expect(without(NOTHING, { env: { CUDA_VISIBLE_DEVICES: value } })[0]).toMatch(/hides every GPU/);
  });

  it('takes libraries from LD_LIBRARY_PATH and from the loader cache', () => {
    const bare = Object.fromEntries(
      Object.entries(complete.files ?? {}).filter(([path]) => !path.includes('/deps/nvidia/')),
    );
    const names = Object.keys(CUDA_FILES).map((path) => path.split('/').at(-1));
    const folder = Object.fromEntries(names.map((name) => [`/opt/cuda/${name}`, '']));
    const cache = { '/etc/ld.so.cache': names.map((name) => `/opt/cuda/${name}\0`).join('') };
    expect(without(NOTHING, { files: bare })).toHaveLength(1);
    expect(
      without(NOTHING, { files: { ...bare, ...folder }, env: { LD_LIBRARY_PATH: '/x:/opt/cuda' } }),
    ).toEqual([]);
    expect(without(NOTHING, { files: { ...bare, ...cache } })).toEqual([]);
  });

  it('refuses systems other than Linux on x64', () => {
    expect(without(NOTHING, { platform: 'darwin' })[0]).toMatch(/Linux x64 only; this is darwin x64/);
    expect(without(NOTHING, { arch: 'arm64' })[0]).toMatch(/Linux x64 only/);
  });
});

describe('visibleGpu', () => {
  const nvidiaSmi = '0, GPU-aa, NVIDIA A100, 8.0, 550.1\n1, GPU-bb, NVIDIA H100, 9.0, 550.1\n';

  it.each([
    [undefined, 'NVIDIA A100'],
    ['1', 'NVIDIA H100'],
    ['1,0', 'NVIDIA H100'],
    ['GPU-bb', 'NVIDIA H100'],
  ])('is found with CUDA_VISIBLE_DEVICES=%s', (value, name) => {
    const probe = fakeProbe({ nvidiaSmi, env: { CUDA_VISIBLE_DEVICES: value } });
    expect(visibleGpu(probe)?.name).toBe(name);
    expect(firstVisibleDevice(probe)).toBe(value?.split(',')[0] ?? null);
  });

  it('is unknown if nvidia-smi is missing or prints something else', () => {
    expect(visibleGpu(fakeProbe())).toBeNull();
    expect(visibleGpu(fakeProbe({ nvidiaSmi: 'NVIDIA-SMI has failed because …' }))).toBeNull();
  });
});
