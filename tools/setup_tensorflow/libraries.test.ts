/** @file libtensorflow from folders and wheels of every layout, and what the binding is then built from. */
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../src/errors.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { writeZip } from '../../test/support/zip_file.js';
import { cudaLinkFlags, patchedBackend } from './build.js';
import { librariesFrom, pickNvidia, pickTensorflow, wheelRequirement } from './libraries.js';

let root: string;
let deps: string;
beforeEach(() => {
  root = temporaryFolder();
  deps = join(root, 'deps');
});

function put(files: Record<string, string>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
}

const quiet = () => {};
const WITH_CUDA = `${'x'.repeat(100)}N15stream_executor3gpu12CudnnSupportE`;

describe('librariesFrom', () => {
  it('links an unpacked libtensorflow', async () => {
    put({
      'tf/include/tensorflow/c/c_api.h': '',
      'tf/lib/libtensorflow.so.2.9.1': WITH_CUDA,
      'tf/lib/libtensorflow_framework.so.2': '',
    });
    expect(await librariesFrom(join(root, 'tf'), deps, quiet)).toBe(true);
    expect(existsSync(join(deps, 'include', 'tensorflow', 'c', 'c_api.h'))).toBe(true);
    for (const name of ['libtensorflow.so', 'libtensorflow.so.2.9.1', 'libtensorflow_framework.so'])
      expect(existsSync(join(deps, 'lib', name)), name).toBe(true);
    expect(readlinkSync(join(deps, 'lib', 'libtensorflow.so.2.9.1'))).toBe(
      join(root, 'tf/lib/libtensorflow.so.2.9.1'),
    );
  });

  it.each(['site-packages', 'site-packages/tensorflow'])(
    'links the tensorflow of a Python: %s',
    async (path) => {
      put({
        'site-packages/tensorflow/include/tensorflow/c/c_api.h': '',
        'site-packages/tensorflow/libtensorflow_cc.so.2': 'no such code',
        'site-packages/tensorflow/libtensorflow_framework.so.2': '',
        'site-packages/nvidia/cudnn/lib/libcudnn.so.9': '',
      });
      expect(await librariesFrom(join(root, path), deps, quiet)).toBe(false);
      expect(readlinkSync(join(deps, 'lib', 'libtensorflow.so'))).toBe('libtensorflow_cc.so.2');
      expect(existsSync(join(deps, 'include', 'tensorflow', 'c', 'c_api.h'))).toBe(true);
      expect(existsSync(join(deps, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'))).toBe(true);
    },
  );

  it('unpacks a folder of wheels, including CUDA', async () => {
    mkdirSync(join(root, 'wheels'));
    writeZip(join(root, 'wheels', 'tensorflow-2.21.0-cp311-linux.whl'), {
      'tensorflow/libtensorflow_cc.so.2': WITH_CUDA,
      'tensorflow/libtensorflow_framework.so.2': 'f',
      'tensorflow/include/tensorflow/c/c_api.h': 'h',
      'tensorflow/python/x.py': 'p',
    });
    writeZip(join(root, 'wheels', 'nvidia_cudnn_cu12-9.3-linux.whl'), {
      'nvidia/cudnn/lib/libcudnn.so.9': 'c',
    });
    expect(await librariesFrom(join(root, 'wheels'), deps, quiet)).toBe(true);
    expect(readlinkSync(join(deps, 'lib', 'libtensorflow_framework.so'))).toBe(
      'libtensorflow_framework.so.2',
    );
    expect(readFileSync(join(deps, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'), 'utf8')).toBe('c');
    expect(existsSync(join(deps, 'python'))).toBe(false);
  });

  it('names what is missing', async () => {
    put({
      'half/lib/libtensorflow.so.2': '',
      'half/lib/libtensorflow_framework.so.2': '',
      'note.txt': '',
      'w/x-1.whl': '',
    });
    put({ 'headers/include/tensorflow/c/c_api.h': '' });
    writeZip(join(root, 'tensorflow-2.0-py3-win.whl'), { 'tensorflow/x.dll': '' });
    for (const [path, text] of [
      ['nowhere', /no such file or folder/],
      ['note.txt', /expected a folder or a \.whl file/],
      ['half', /include\/tensorflow\/c\/c_api\.h is not in it/],
      ['headers', /libtensorflow\*\.so .* is not in it/],
      ['w', /no wheel named tensorflow-… .* among: x-1\.whl/],
      ['tensorflow-2.0-py3-win.whl', /holds no libtensorflow_cc\.so/],
    ] as const) {
      const result = librariesFrom(join(root, path), deps, quiet);
      await expect(result).rejects.toThrow(EngineError);
      await expect(result).rejects.toThrow(text);
    }
  });
});

describe('unpacking a wheel', () => {
  it.each([
    ['tensorflow/libtensorflow_cc.so.2', 'lib/libtensorflow_cc.so.2'],
    ['tensorflow/include/tensorflow/c/eager/c_api.h', 'include/tensorflow/c/eager/c_api.h'],
    ['tensorflow/include/tsl/platform/ctstring.h', 'include/tsl/platform/ctstring.h'],
    ['tensorflow/include/xla/tsl/c/tsl_status.h', 'include/xla/tsl/c/tsl_status.h'],
    ['tensorflow/include/external/llvm-project/x.h', null],
    ['tensorflow/python/lib_pywrap_tensorflow_common.so', null],
  ])('finds the right target, or none, for %s', (name, target) => {
    expect(pickTensorflow(name)).toBe(target);
  });

  it.each([
    ['nvidia/cublas/lib/libcublas.so.12', true],
    ['nvidia/cuda_nvcc/bin/ptxas', true],
    ['nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc', true],
    ['nvidia/cublas/lib/__init__.py', false],
    ['nvidia/cublas/include/cublas.h', false],
    ['nvidia/cublas/lib/', false],
  ])('takes or skips the file of an NVIDIA wheel: %s', (name, isTaken) => {
    expect(pickNvidia(name)).toBe(isTaken ? name : null);
  });

  it('uses the wheel without CUDA if there is one', () => {
    expect(wheelRequirement(false, 'x64')).toMatch(/^tensorflow-cpu==/);
    expect(wheelRequirement(true, 'x64')).toMatch(/^tensorflow==/);
    expect(wheelRequirement(false, 'arm64')).toMatch(/^tensorflow==/);
  });
});

describe('the binding', () => {
  it('links the CUDA libraries that TensorFlow opens by name, wherever the package is', () => {
    put({
      'deps/nvidia/cublas/lib/libcublas.so.12': '',
      'deps/nvidia/cublas/lib/libnvblas.so.12': '',
      'deps/nvidia/cudnn/lib/libcudnn.so.9': '',
      'deps/nvidia/cudnn/lib/libcudnn_graph.so.9': '',
      'deps/nvidia/cuda_nvcc/bin/ptxas': '',
    });
    const flags = cudaLinkFlags(deps, join(root, 'lib', 'napi-v8'));
    expect(flags.filter((flag) => flag.startsWith('-l'))).toEqual(['-l:libcublas.so.12', '-l:libcudnn.so.9']);
    expect(flags).toContain('-Wl,-rpath,$ORIGIN/../../deps/nvidia/cudnn/lib');
    expect(cudaLinkFlags(join(root, 'none'), root)).toEqual([]);
  });

  it('is built from the source that npm installed, with tensor numbers that start again', () => {
    const source = new URL(
      '../../node_modules/@tensorflow/tfjs-node/binding/tfjs_backend.cc',
      import.meta.url,
    );
    const patched = patchedBackend(readFileSync(source, 'utf8'));
    expect(patched).not.toContain('next_tensor_id_++');
    expect(patched).toContain('NextFreeNumber(tfe_handle_map_, &next_tensor_id_)');
    expect(() => patchedBackend('int main() {}')).toThrow(/not that of version 4\.22\.0/);
  });
});
