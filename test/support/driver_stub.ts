/** @file A libcuda.so.1 without a GPU, which cuDNN's engines that compile kernels need to be loaded. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Libraries of cuDNN that look up functions of the driver by name. */
const CALLERS = ['libcudnn_graph', 'libcudnn_engines_runtime_compiled', 'libcudnn_engines_tensor_ir'];

/** Functions that answer; all others return that there is no device. */
const ANSWERS = {
  cuInit: '(unsigned flags) { return 0; }',
  cuDriverGetVersion: '(int *version) { *version = 13000; return 0; }',
  cuDeviceGetCount: '(int *count) { *count = 0; return 0; }',
  cuGetErrorName: '(int error, const char **text) { *text = "NO_DEVICE"; return 0; }',
  cuGetErrorString: '(int error, const char **text) { *text = "no device"; return 0; }',
  cuGetProcAddress_v2:
    '(const char *name, void **f, int version, unsigned long long flags, int *status)' +
    ' { *f = dlsym(self(), name); if (status) *status = *f ? 0 : 1; return *f ? 0 : 500; }',
  cuGetProcAddress:
    '(const char *name, void **f, int version, unsigned long long flags)' +
    ' { *f = dlsym(self(), name); return *f ? 0 : 500; }',
} as const;

/** Compiles the library into `folder` with every function that cuDNN names. Returns its path. */
export function buildDriverStub(cudnnFolder: string, folder: string): string {
  const names = new Set(CALLERS.flatMap((name) => driverNames(join(cudnnFolder, `${name}.so.9`))));
  for (const name of Object.keys(ANSWERS)) names.delete(name);
  const source = [
    '#include <dlfcn.h>',
    'static void *self(void) { return dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD); }',
    ...Object.entries(ANSWERS).map(([name, body]) => `int ${name}${body}`),
    ...[...names].map((name) => `int ${name}(void) { return 100; }`),
  ].join('\n');
  const [file, library] = [join(folder, 'driver.c'), join(folder, 'libcuda.so.1')];
  writeFileSync(file, `${source}\n`);
  const options = ['-w', '-shared', '-fPIC', '-Wl,-soname,libcuda.so.1', '-o', library, file, '-ldl'];
  execFileSync('cc', options, { stdio: 'pipe' });
  return library;
}

/** Texts of a library that are names of driver functions, such as cuMemAlloc_v2. */
function driverNames(path: string): string[] {
  const text = readFileSync(path, 'latin1');
  return [...text.matchAll(/\0(cu[A-Z]\w{2,60})(?=\0)/g)].map(([, name]) => name);
}
