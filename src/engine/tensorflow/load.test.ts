/** @file The environment of libtensorflow, and the messages if it does not load. */
import util from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import {
  fakeProbe,
  forgetTensorflow,
  loadFakeTensorflow,
  tensorflowFiles,
} from '../../../test/support/fake_probe.js';
import type { DeviceName } from '../types.js';
import { tensorflowEnvironment } from './environment.js';
import { CPU_PACKAGE, findInstall, GPU_PACKAGE, installProblems } from './install.js';
import { loadFailure, loadTensorflow } from './load.js';

const files = tensorflowFiles(CPU_PACKAGE);
const helper = `/nm/${CPU_PACKAGE}/lib/napi-v8/stmixer_helper.node`;

const options = (device: DeviceName, verbose: boolean, threads = 6) => ({ device, threads, verbose });

afterAll(forgetTensorflow);

describe('environment', () => {
  it('makes operations deterministic and hides the GPUs on a CPU', () => {
    expect(tensorflowEnvironment(fakeProbe({ processors: 6 }), options('cpu', false))).toEqual({
      TF_ENABLE_ONEDNN_OPTS: '1',
      TF_DETERMINISTIC_OPS: '1',
      TF_CUDNN_DETERMINISTIC: '1',
      TF_CPP_MIN_LOG_LEVEL: '3',
      TF_NUM_INTRAOP_THREADS: '6',
      CUDA_VISIBLE_DEVICES: '-1',
    });
  });

  it('uses one GPU, with growing memory and without TF32', () => {
    const env = { CUDA_VISIBLE_DEVICES: '3,1' };
    expect(tensorflowEnvironment(fakeProbe({ env }), options('cuda', false))).toMatchObject({
      CUDA_VISIBLE_DEVICES: '3',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      NVIDIA_TF32_OVERRIDE: '0',
    });
    expect(tensorflowEnvironment(fakeProbe(), options('cuda', false)).CUDA_VISIBLE_DEVICES).toBe('0');
  });

  it("leaves the user's own settings, except the number of threads", () => {
    const env = { TF_ENABLE_ONEDNN_OPTS: '0', NVIDIA_TF32_OVERRIDE: '1', TF_NUM_INTRAOP_THREADS: '4' };
    const settings = tensorflowEnvironment(fakeProbe({ env }), options('cuda', true));
    expect(settings).not.toHaveProperty('TF_ENABLE_ONEDNN_OPTS');
    expect(settings).not.toHaveProperty('NVIDIA_TF32_OVERRIDE');
    expect(settings).toMatchObject({ TF_NUM_INTRAOP_THREADS: '6', TF_CPP_MIN_LOG_LEVEL: '0' });
  });
});

describe('loadTensorflow', () => {
  it('loads the binding before the package and reports what it runs on', async () => {
    const probe = fakeProbe({ files, load: loadFakeTensorflow(false) });
    const install = findInstall(probe, CPU_PACKAGE)!;
    const loaded = await loadTensorflow(probe, install, options('cpu', false));
    expect(loaded).toMatchObject({ device: 'cpu', version: '2.21.0' });
    expect(probe.loaded).toEqual([install.binding, install.folder]);
    expect(probe.env.TF_DETERMINISTIC_OPS).toBe('1');
  });

  it('mutes standard error while it loads, unless verbose, and restores it after a failure', async () => {
    const calls: string[] = [];
    const muting = {
      muteStandardError: () => calls.push('mute'),
      restoreStandardError: () => calls.push('restore'),
    };
    const load = (path: string) => {
      if (path === helper) return muting;
      calls.push('load');
      throw new Error('no');
    };
    for (const verbose of [false, true]) {
      const probe = fakeProbe({ files: { ...files, [helper]: '' }, load });
      await expect(
        loadTensorflow(probe, findInstall(probe, CPU_PACKAGE)!, options('cpu', verbose)),
      ).rejects.toThrow('does not load');
    }
    expect(calls).toEqual(['mute', 'load', 'restore', 'load']);
  });

  it('restores the environment if loading fails', async () => {
    const env = { CUDA_VISIBLE_DEVICES: '2', TF_NUM_INTRAOP_THREADS: '' };
    const load = () => {
      throw new Error('libcudnn.so.9: cannot open shared object file: No such file or directory');
    };
    const probe = fakeProbe({ files, env, load });
    await expect(
      loadTensorflow(probe, findInstall(probe, CPU_PACKAGE)!, options('cpu', false)),
    ).rejects.toThrow();
    expect(probe.env).toEqual(env);
  });

  it('restores the functions for tfjs-node that Node 23 removed', async () => {
    const probe = fakeProbe({ files, load: loadFakeTensorflow(false) });
    await loadTensorflow(probe, findInstall(probe, CPU_PACKAGE)!, options('cpu', false));
    const old = util as unknown as Record<string, (value: unknown) => boolean>;
    expect([null, undefined, 0, ''].map((value) => old.isNullOrUndefined(value))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(old.isArray([])).toBe(true);
  });
});

describe('loadFailure', () => {
  const install = findInstall(fakeProbe({ files: tensorflowFiles(GPU_PACKAGE) }), GPU_PACKAGE)!;

  it.each([
    [
      'libtensorflow.so.2: cannot open shared object file: No such file',
      /libtensorflow\.so\.2 is not found.*--force/,
    ],
    [
      'libcudnn.so.9: cannot open shared object file: No such file',
      /libcudnn\.so\.9 is not found.*LD_LIBRARY_PATH/,
    ],
    ["/lib/libc.so.6: version `GLIBC_2.34' not found (required by x)", /too old \(no GLIBC_2\.34\)/],
    ['/nm/x.node: invalid ELF header', /damaged or built for another kind of processor/],
    ['/nm/x.node: undefined symbol: TFE_NewContext', /another version of libtensorflow/],
    [
      'was compiled against a different Node.js version using NODE_MODULE_VERSION 93.',
      /another version of Node/,
    ],
    ['Module did not self-register', /another version of Node/],
    ["Cannot find module 'google-protobuf'\nRequire stack:", /part of the npm package is missing.*npm ci/],
    ['Exception creating TFE_Context', /the system refuses it/],
  ])('explains "%s"', (message, expected) => {
    const text = loadFailure(new Error(message), install);
    expect(text).toMatch(expected);
    expect(text).toContain(message.split('\n')[0]);
    expect(text.split('\n')).toHaveLength(2);
  });
});

describe('installProblems', () => {
  const what = (machine: Parameters<typeof fakeProbe>[0]) =>
    installProblems(fakeProbe(machine), CPU_PACKAGE).map((problem) => problem.what);

  it('names the missing step of an installation', () => {
    expect(what({})).toEqual([expect.stringContaining('is not installed')]);
    expect(what({ files: tensorflowFiles(CPU_PACKAGE, { built: false }) })).toEqual([
      expect.stringContaining('not set up'),
    ]);
    expect(what({ files })).toEqual([]);
  });

  it('refuses a processor that would end the process', () => {
    const cpuinfo = (flags: string) => ({ files: { ...files, '/proc/cpuinfo': `flags\t\t: ${flags}\n` } });
    expect(what(cpuinfo('fpu sse4_2'))).toEqual([expect.stringContaining('no AVX')]);
    expect(what(cpuinfo('fpu sse4_2 avx avx2'))).toEqual([]);
    expect(what({ ...cpuinfo('fpu sse4_2'), arch: 'arm64' })).toEqual([]);
  });
});
