/** @file The search for CUDA's libraries on machines made of facts. */
import { describe, expect, it } from 'vitest';
import { DRIVER_FILES, type FakeMachine, fakeProbe } from '../../../test/support/fake_probe.js';
import { findCudaLibraries, findNccl } from './libraries.js';

const OWN = '/app/deps/cuda';

/** Empty files. */
function files(folder: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`${folder}/${name}`, '']));
}

const NVRTC_13 = ['libnvrtc.so.13', 'libnvrtc-builtins.so.13.0', 'libnvrtc-builtins.alt.so.13.0'];
const CUDNN = ['libcudnn.so.9', 'libcudnn_graph.so.9'];

/** The wheels of CUDA 13 in a folder of packages. */
function wheels13(folder: string): Record<string, string> {
  return {
    ...files(`${folder}/nvidia/cu13/lib`, [...NVRTC_13, 'libcublasLt.so.13']),
    ...files(`${folder}/nvidia/cudnn/lib`, CUDNN),
    [`${folder}/nvidia_cudnn_cu13-9.24.0.43.dist-info/METADATA`]: '',
  };
}

function wheels12(folder: string): Record<string, string> {
  return {
    ...files(`${folder}/nvidia/cuda_nvrtc/lib`, ['libnvrtc.so.12', 'libnvrtc-builtins.so.12.9']),
    ...files(`${folder}/nvidia/cublas/lib`, ['libcublasLt.so.12']),
    ...files(`${folder}/nvidia/cudnn/lib`, CUDNN),
    [`${folder}/nvidia_cudnn_cu12-9.10.2.21.dist-info/METADATA`]: '',
  };
}

function search(machine: FakeMachine, version: number | null = 13000) {
  const probe = fakeProbe({ ...machine, files: { ...DRIVER_FILES, ...machine.files } });
  return findCudaLibraries({ probe, ownFolder: OWN, driverVersion: () => version });
}

describe('findCudaLibraries', () => {
  it('finds what the set-up has unpacked', () => {
    const { libraries, problems } = search({ files: { ...wheels13(OWN), [`${OWN}/stmixer.json`]: '{}' } });
    expect(problems).toEqual([]);
    expect(libraries).toEqual({
      driver: '/usr/lib/x86_64-linux-gnu/libcuda.so.1',
      driverVersion: 13000,
      major: 13,
      nvrtc: `${OWN}/nvidia/cu13/lib/libnvrtc.so.13`,
      nvrtcBuiltins: [`${OWN}/nvidia/cu13/lib/libnvrtc-builtins.so.13.0`],
      cublasLt: `${OWN}/nvidia/cu13/lib/libcublasLt.so.13`,
      cudnn: `${OWN}/nvidia/cudnn/lib/libcudnn.so.9`,
    });
  });

  it('does not use half of a set-up', () => {
    const { libraries, problems } = search({ files: wheels13(OWN) });
    expect(libraries).toBeNull();
    expect(problems).toEqual([
      {
        what: 'NVRTC, which compiles the kernels, is not found (libnvrtc.so.13 or libnvrtc.so.12)',
        remedy: 'run: npm run setup:cuda',
      },
    ]);
  });

  it.each([
    [
      'a toolkit',
      { env: { CUDA_HOME: '/opt/cuda' }, files: files('/opt/cuda/lib64', NVRTC_13) },
      '/opt/cuda/lib64',
    ],
    ['/usr/local/cuda', { files: files('/usr/local/cuda/lib64', NVRTC_13) }, '/usr/local/cuda/lib64'],
    [
      'the newest toolkit beside others',
      {
        files: {
          ...files('/usr/local/cuda-13.0/lib64', NVRTC_13),
          ...files('/usr/local/cuda-13.1/lib64', NVRTC_13),
        },
      },
      '/usr/local/cuda-13.1/lib64',
    ],
    [
      'a virtual environment',
      { env: { VIRTUAL_ENV: '/v' }, files: wheels13('/v/lib/python3.11/site-packages') },
      '/v/lib/python3.11/site-packages/nvidia/cu13/lib',
    ],
    [
      'the Python in use',
      {
        programs: { python3: '/py/dist-packages\n/py/site-packages\n' },
        files: wheels13('/py/site-packages'),
      },
      '/py/site-packages/nvidia/cu13/lib',
    ],
    ['conda', { env: { CONDA_PREFIX: '/conda' }, files: files('/conda/lib', NVRTC_13) }, '/conda/lib'],
    ['LD_LIBRARY_PATH', { env: { LD_LIBRARY_PATH: '/a:/b' }, files: files('/b', NVRTC_13) }, '/b'],
    [
      "the loader's cache",
      {
        files: {
          ...files('/odd/lib', NVRTC_13),
          '/etc/ld.so.cache': 'x\0libnvrtc.so.13\0/odd/lib/libnvrtc.so.13\0',
        },
      },
      '/odd/lib',
    ],
  ] as [string, FakeMachine, string][])('finds NVRTC in %s', (_, machine, folder) => {
    expect(search(machine).libraries).toMatchObject({
      nvrtc: `${folder}/libnvrtc.so.13`,
      nvrtcBuiltins: [`${folder}/libnvrtc-builtins.so.13.0`],
    });
  });

  it('takes the driver and the libraries of STMIXER_CUDA_PATH first', () => {
    const { libraries } = search({
      env: { STMIXER_CUDA_PATH: '/none:/mine', CUDA_HOME: '/cuda' },
      files: {
        ...files('/mine', ['libcuda.so.1', 'libnvrtc.so.13', 'libcublasLt.so.13', ...CUDNN]),
        ...files('/cuda/lib64', [...NVRTC_13, 'libcublasLt.so.13']),
      },
    });
    expect(libraries).toMatchObject({
      driver: '/mine/libcuda.so.1',
      nvrtc: '/mine/libnvrtc.so.13',
      nvrtcBuiltins: [],
      cublasLt: '/mine/libcublasLt.so.13',
      cudnn: '/mine/libcudnn.so.9',
    });
  });

  it('takes libraries of CUDA 12 with a driver of CUDA 12', () => {
    const packages = '/v/lib/python3.11/site-packages';
    const machine = { env: { VIRTUAL_ENV: '/v', CUDA_HOME: '/cuda' } };
    const both = { ...wheels12(packages), ...files('/cuda/lib64', [...NVRTC_13, 'libcublasLt.so.13']) };
    const { libraries } = search({ ...machine, files: both }, 12040);
    expect(libraries).toMatchObject({
      major: 12,
      nvrtc: `${packages}/nvidia/cuda_nvrtc/lib/libnvrtc.so.12`,
      cublasLt: `${packages}/nvidia/cublas/lib/libcublasLt.so.12`,
    });
  });

  it('uses CUDA 12 on a newer driver if that is what there is', () => {
    const { libraries } = search({
      env: { VIRTUAL_ENV: '/v' },
      files: wheels12('/v/lib/python3.12/site-packages'),
    });
    expect(libraries?.major).toBe(12);
  });

  it('leaves out a cuDNN for another CUDA, or without its parts', () => {
    const toolkit = files('/usr/local/cuda/lib64', [...NVRTC_13, 'libcublasLt.so.13']);
    const env = { VIRTUAL_ENV: '/v' };
    const problem = [
      expect.objectContaining({
        what: 'cuDNN (libcudnn.so.9) is not found, so attention and convolution will be slower',
      }),
    ];
    const other = search({ env, files: { ...toolkit, ...wheels12('/v/lib/python3.12/site-packages') } });
    expect([other.libraries?.cudnn, other.problems]).toEqual([null, problem]);
    const alone = search({ files: { ...toolkit, '/usr/local/cuda/lib64/libcudnn.so.9': '' } });
    expect([alone.libraries?.cudnn, alone.problems]).toEqual([null, problem]);
  });

  it('says what is slower without cuBLASLt', () => {
    const { libraries, problems } = search({
      files: files('/usr/local/cuda/lib64', [...NVRTC_13, ...CUDNN]),
    });
    expect(libraries?.cublasLt).toBeNull();
    expect(problems.map(({ what }) => what)).toEqual([
      'cuBLASLt (libcublasLt.so.13) is not found, so matrix products will be slower',
    ]);
  });

  it('names the driver that is needed', () => {
    expect(search({}, 11080)).toEqual({
      libraries: null,
      problems: [
        {
          what: 'the NVIDIA driver supports CUDA 11.8, and CUDA 12 is needed',
          remedy: 'install the driver 525 or newer',
        },
      ],
    });
  });

  it('explains a driver that is missing or cannot be loaded', () => {
    const none = findCudaLibraries({ probe: fakeProbe(), ownFolder: OWN, driverVersion: () => null });
    expect(none.problems[0].what).toContain('no NVIDIA driver');
    expect(search({}, null).problems[0].what).toBe(
      "the NVIDIA driver's library libcuda.so.1 cannot be loaded",
    );
    expect(search({ platform: 'darwin' }).problems[0].what).toBe('CUDA runs on Linux only; this is darwin');
  });
});

describe('findNccl', () => {
  const nccl = (machine: FakeMachine, version = 13000) => findNccl(fakeProbe(machine), version, OWN);
  const NCCL = files('/venv/lib/python3.12/site-packages/nvidia/nccl/lib', ['libnccl.so.2']);
  const env = { VIRTUAL_ENV: '/venv' };
  const [path] = Object.keys(NCCL);

  it('finds it where the other libraries are', () => {
    const own = `${OWN}/nvidia/nccl/lib/libnccl.so.2`;
    expect(nccl({ files: { [own]: '', [`${OWN}/stmixer.json`]: '{}' } })).toEqual({ path: own });
    expect(nccl({ env, files: NCCL })).toEqual({ path });
    const system = '/usr/lib/x86_64-linux-gnu/libnccl.so.2';
    expect(nccl({ files: { [system]: '' } })).toEqual({ path: system });
  });

  it('passes over one for a newer CUDA than that of the driver', () => {
    const wheel = '/venv/lib/python3.12/site-packages/nvidia_nccl_cu13-2.30.7.dist-info/METADATA';
    const machine = { env, files: { ...NCCL, [wheel]: '' } };
    expect(nccl(machine)).toEqual({ path });
    expect(nccl(machine, 12080)).toMatchObject({ what: 'NCCL (libnccl.so.2) is not found' });
  });

  it('takes what STMIXER_NCCL says', () => {
    expect(nccl({ env: { ...env, STMIXER_NCCL: '/opt/libnccl.so' }, files: NCCL })).toEqual({
      path: '/opt/libnccl.so',
    });
    expect(nccl({ env: { ...env, STMIXER_NCCL: '0' }, files: NCCL })).toEqual({
      what: 'STMIXER_NCCL is 0',
      remedy: 'unset it',
    });
  });

  it('says how to get it', () => {
    expect(nccl({})).toEqual({ what: 'NCCL (libnccl.so.2) is not found', remedy: 'run: npm run setup:cuda' });
  });
});
