/** @file The set-up of CUDA's libraries: from small wheels, and with a stand-in for pip. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DRIVER_FILES, type FakeMachine, fakeProbe } from '../../test/support/fake_probe.js';
import { ncclLibrary, wheelsFolder } from '../../test/support/nvidia_wheels.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { writeZip } from '../../test/support/zip_file.js';
import { pickLibraries } from './packages.js';
import { type SetupOptions, setupCuda } from './setup.js';
import { tryLibraries } from './trial.js';

const NVRTC = 'nvidia/cu13/lib/libnvrtc.so.13';
const CUDNN = 'nvidia/cudnn/lib/libcudnn.so.9';
const NVRTC_WHEEL = 'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.whl';
const CUBLAS_WHEEL = 'nvidia_cublas-13.1.1.3-py3-none-manylinux_2_27_x86_64.whl';
const NCCL_WHEEL = 'nvidia_nccl_cu13-2.30.7-py3-none-manylinux_2_18_x86_64.whl';
const CUDNN_WHEEL = 'nvidia_cudnn_cu13-9.24.0.43-py3-none-manylinux_2_27_x86_64.whl';

let root: string;
let wheels: string;
let folder: string;
beforeEach(() => {
  root = temporaryFolder();
  [wheels, folder] = [join(root, 'wheels'), join(root, 'cuda')];
  mkdirSync(wheels);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function writeWheels(names: readonly string[] = [NVRTC_WHEEL, CUBLAS_WHEEL, CUDNN_WHEEL, NCCL_WHEEL]): void {
  const contents: Record<string, Record<string, string>> = {
    [NVRTC_WHEEL]: { [NVRTC]: 'nvrtc', 'nvidia/cu13/include/nvrtc.h': 'header' },
    [CUBLAS_WHEEL]: { 'nvidia/cu13/lib/libcublasLt.so.13': 'cublas' },
    [CUDNN_WHEEL]: { [CUDNN]: 'cudnn' },
    [NCCL_WHEEL]: { 'nvidia/nccl/lib/libnccl.so.2': 'nccl', 'nvidia/nccl/lib/libnccl_device.bc': 'code' },
  };
  for (const name of names) writeZip(join(wheels, name), contents[name]);
}

/** Runs the set-up; returns what it says. */
async function run(
  options: Partial<SetupOptions> = {},
  machine: FakeMachine & { version?: number | null } = {},
): Promise<string[]> {
  const lines: string[] = [];
  const probe = fakeProbe({ ...machine, files: { ...DRIVER_FILES, ...machine.files } });
  const { version = 13000 } = machine;
  await setupCuda(
    { probe, driverVersion: () => version, tryLibraries: () => ['tried'] },
    { folder, force: false, ...options },
    (line) => lines.push(line),
  );
  return lines;
}

function record(): { cuda: number; source: string; wheels: string[] } {
  return JSON.parse(readFileSync(join(folder, 'stmixer.json'), 'utf8'));
}

describe('a folder of wheels', () => {
  it('is unpacked: its libraries, and a record of them', async () => {
    writeWheels();
    const lines = await run({ wheels });
    expect(lines).toEqual([
      `libraries of CUDA 13 go to ${folder}`,
      ...[CUDNN_WHEEL, CUBLAS_WHEEL, NCCL_WHEEL, NVRTC_WHEEL].map((name) => `unpacking ${name}`),
      'tried',
      'done: use it with --engine cuda or auto',
    ]);
    expect(readFileSync(join(folder, NVRTC), 'utf8')).toBe('nvrtc');
    expect(existsSync(join(folder, 'nvidia/cu13/include'))).toBe(false);
    expect(record()).toEqual({
      cuda: 13,
      source: wheels,
      wheels: [CUDNN_WHEEL, CUBLAS_WHEEL, NCCL_WHEEL, NVRTC_WHEEL],
    });
    expect(readdirSync(folder).sort()).toEqual(['nvidia', 'stmixer.json']);
  });

  it('is unpacked once, unless forced', async () => {
    writeWheels();
    await run({ wheels });
    const path = join(folder, NVRTC);
    utimesSync(path, 1, 1);
    expect(await run({ wheels })).toContain('they are there already (--force fetches them anew)');
    expect(statSync(path).mtimeMs).toBe(1000);
    await run({ wheels, force: true });
    expect(statSync(path).mtimeMs).toBeGreaterThan(1000);
  });

  it('may lack what is not needed, but not NVRTC', async () => {
    writeWheels([NVRTC_WHEEL]);
    expect((await run({ wheels })).filter((line) => line.startsWith('no wheel'))).toEqual([
      'no wheel of cuDNN (nvidia-cudnn-cu13>=9.13,<10): training will be slower without it',
      'no wheel of cuBLAS (nvidia-cublas>=13.0,<14): training will be slower without it',
      'no wheel of NCCL (nvidia-nccl-cu13>=2.14,<3): training on several GPUs will be slower without it',
    ]);
    await expect(run({ wheels, cuda: 12 })).rejects.toThrow(
      `the wheel of NVRTC is missing; there is ${NVRTC_WHEEL}. Fetch it where there is a network: ` +
        "pip download --no-deps 'nvidia-cuda-nvrtc-cu12>=12.8,<13'",
    );
    expect(existsSync(join(folder, 'stmixer.json'))).toBe(false);
    await expect(run({ wheels: join(root, 'none'), force: true })).rejects.toThrow(/none: no such file/);
  });

  it('continues after an interruption, and counts as nothing until it is whole', async () => {
    writeWheels();
    writeFileSync(join(wheels, NVRTC_WHEEL), 'not a zip archive');
    await expect(run({ wheels })).rejects.toThrow(/nvrtc.*cannot be unpacked/);
    expect(existsSync(join(folder, 'stmixer.json'))).toBe(false);
    utimesSync(join(folder, CUDNN), 1, 1);
    writeWheels([NVRTC_WHEEL]);
    await run({ wheels });
    expect(statSync(join(folder, CUDNN)).mtimeMs).toBe(1000);
    expect(record().wheels).toEqual([CUDNN_WHEEL, CUBLAS_WHEEL, NCCL_WHEEL, NVRTC_WHEEL]);
  });

  it('replaces the files of another version', async () => {
    writeWheels();
    await run({ wheels });
    const wheel = 'nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.whl';
    writeZip(join(wheels, wheel), { 'nvidia/cuda_nvrtc/lib/libnvrtc.so.12': 'twelve' });
    await run({ wheels, cuda: 12 });
    expect(record()).toMatchObject({ cuda: 12, wheels: [wheel] });
    expect(existsSync(join(folder, NVRTC))).toBe(false);
  });

  it('says why the folder cannot be written', async () => {
    writeWheels();
    writeFileSync(join(root, 'file'), '');
    await expect(run({ wheels, folder: join(root, 'file', 'cuda') })).rejects.toThrow(
      /file\/cuda cannot be written: a part of the path is a file/,
    );
  });
});

describe('pip', () => {
  /** A program that answers `-m pip download … --dest DIR NAME` by copying from the folder of wheels. */
  function standIn(script: string): void {
    const path = join(root, 'python');
    writeFileSync(
      path,
      `#!/bin/sh\n[ "$2" = pip ] && [ "$3" = download ] || exit 0\nfor last; do :; done\nwhile [ "$1" != --dest ]; do shift; done\ndest=$2\n${script}\n`,
    );
    chmodSync(path, 0o755);
    vi.stubEnv('PYTHON', path);
  }
  const copy = `echo "$last" >> "${'$'}ROOT/asked"; name=$(echo "$last" | sed 's/[>].*//; s/-/_/g'); cp "$ROOT"/wheels/"$name"-* "$dest"`;

  it('fetches one package after the other, and its wheels do not stay', async () => {
    writeWheels();
    vi.stubEnv('ROOT', root);
    standIn(copy);
    await run();
    expect(readFileSync(join(root, 'asked'), 'utf8').trim().split('\n')).toEqual([
      ...['nvidia-cudnn-cu13>=9.13,<10', 'nvidia-cublas>=13.0,<14', 'nvidia-nccl-cu13>=2.14,<3'],
      'nvidia-cuda-nvrtc>=13.0,<14',
    ]);
    expect(readdirSync(folder).sort()).toEqual(['nvidia', 'stmixer.json']);
    expect(readFileSync(join(folder, NVRTC), 'utf8')).toBe('nvrtc');
  });

  it('does not fetch again what was unpacked before an interruption', async () => {
    writeWheels([CUDNN_WHEEL, CUBLAS_WHEEL, NCCL_WHEEL]);
    vi.stubEnv('ROOT', root);
    standIn(copy);
    await expect(run()).rejects.toThrow(
      /pip did not fetch nvidia-cuda-nvrtc>=13\.0,<14[\s\S]*--wheels FOLDER/,
    );
    writeWheels([NVRTC_WHEEL]);
    writeFileSync(join(root, 'asked'), '');
    await run();
    expect(readFileSync(join(root, 'asked'), 'utf8')).toBe('nvidia-cuda-nvrtc>=13.0,<14\n');
  });

  it('fetches what a set-up of an earlier version has not', async () => {
    writeWheels();
    vi.stubEnv('ROOT', root);
    standIn(copy);
    await run();
    const whole = record();
    writeFileSync(
      join(folder, 'stmixer.json'),
      JSON.stringify({ ...whole, wheels: whole.wheels.filter((wheel) => wheel !== NCCL_WHEEL) }),
    );
    writeFileSync(join(root, 'asked'), '');
    utimesSync(join(folder, CUDNN), 1, 1);
    await run();
    expect(readFileSync(join(root, 'asked'), 'utf8')).toBe('nvidia-nccl-cu13>=2.14,<3\n');
    expect(statSync(join(folder, CUDNN)).mtimeMs).toBe(1000);
    expect(new Set(record().wheels)).toEqual(new Set(whole.wheels));
  });

  it('passes on why there is no wheel', async () => {
    standIn("echo 'ERROR: Could not connect: network is unreachable' >&2; exit 1");
    await expect(run()).rejects.toThrow(
      /pip did not fetch nvidia-cudnn-cu13[\s\S]*network is unreachable[\s\S]*pass it with --wheels FOLDER/,
    );
  });

  it('is missing', async () => {
    vi.stubEnv('PATH', '/nowhere');
    vi.stubEnv('PYTHON', '');
    await expect(run()).rejects.toThrow(/no Python .*--wheels FOLDER/);
  });
});

describe('the version of CUDA', () => {
  beforeEach(() => {
    writeWheels();
    for (const name of ['nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-any.whl'])
      writeZip(join(wheels, name), { 'nvidia/cuda_nvrtc/lib/libnvrtc.so.12': '' });
  });

  it.each([
    ['an older driver', { version: 12040 }, 12],
    ['a newer driver', { version: 13020 }, 13],
    ['a GPU that CUDA 13 has dropped', { nvidiaSmi: '0, GPU-1, Tesla V100, 7.0, 580.65\n' }, 12],
    ['a new GPU', { nvidiaSmi: '0, GPU-1, NVIDIA H100, 9.0, 580.65\n' }, 13],
  ])('follows from %s', async (_, machine, expected) => {
    await run({ wheels }, machine);
    expect(record().cuda).toBe(expected);
  });

  it('is to be given where there is no driver', async () => {
    await expect(run({ wheels }, { version: null })).rejects.toThrow(/--cuda 12 or --cuda 13/);
    await run({ wheels, cuda: 13 }, { version: null });
    expect(record().cuda).toBe(13);
  });

  it('is none on other systems', async () => {
    await expect(run({ wheels }, { platform: 'darwin', arch: 'arm64' })).rejects.toThrow(
      'NVIDIA has no packages for darwin arm64: only for Linux on x64 and arm64',
    );
    await expect(run({ wheels }, { version: 11080 })).rejects.toThrow('too old for CUDA 12');
  });
});

it('pickLibraries takes libraries only', () => {
  const picked = (name: string) => pickLibraries(name) !== null;
  expect(picked('nvidia/cu13/lib/libnvrtc-builtins.so.13.0')).toBe(true);
  expect(picked('nvidia/cudnn/lib/libcudnn_graph.so.9')).toBe(true);
  expect(picked('nvidia/cu13/lib/libnvrtc.alt.so.13')).toBe(false);
  expect(picked('nvidia/cu13/include/nvrtc.h')).toBe(false);
  expect(picked('nvidia/nccl/lib/libnccl.so.2')).toBe(true);
  expect(picked('nvidia/nccl/lib/libnccl_device.bc')).toBe(false);
  expect(picked('nvidia/cublas/lib/__init__.py')).toBe(false);
});

describe('tryLibraries', () => {
  it('needs NVRTC', () => {
    expect(() => tryLibraries(root)).toThrow('NVRTC (libnvrtc.so) is not in');
  });

  it.runIf(wheelsFolder)('loads the real libraries', () => {
    expect(tryLibraries(wheelsFolder ?? '')).toEqual([
      expect.stringMatching(/^NVRTC 13\.\d+ compiles for GPUs from sm_\d+ to sm_\d+$/),
      expect.stringMatching(/^cuBLASLt 13\d{4} loads$/),
      expect.stringMatching(/^cuDNN 9\d{4} loads$/),
      ...(ncclLibrary ? [expect.stringMatching(/^NCCL 2\.\d+\.\d+ loads$/)] : []),
    ]);
  });
});
