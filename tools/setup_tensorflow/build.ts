/** @file Compiles the binding of tfjs-node, and a helper of stmixer, against the headers of Node and libtensorflow. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TensorflowInstall } from '../../src/engine/tensorflow/install.js';
import { EngineError } from '../../src/errors.js';
import { errorLines, runCommand } from './command.js';

/** Libraries that libtensorflow opens by name: the loader finds them if the binding is linked to them. */
const CUDA_LIBRARIES =
  /^lib(cudart|cublas|cublasLt|cudnn|cufft|curand|cusolver|cusparse|cupti|nccl|nvrtc|nvJitLink)\.so\.\d[.\d]*$/;

/**
 * In tfjs-node 4.22 the number of a tensor is a 32-bit counter, and negative numbers are never freed: after 2^31 tensors, a few
 * days of training, memory would run out. The patched counter starts again at 0 and skips numbers that are in use.
 */
const TENSOR_NUMBER = {
  before: 'std::make_pair(next_tensor_id_++, tfe_handle)',
  after: 'std::make_pair(NextFreeNumber(tfe_handle_map_, &next_tensor_id_), tfe_handle)',
  helper: `
template <class Map>
static int32_t NextFreeNumber(const Map &in_use, int32_t *next) {
  while (in_use.count(*next)) *next = *next == INT32_MAX ? 0 : *next + 1;
  const int32_t number = *next;
  *next = number == INT32_MAX ? 0 : number + 1;
  return number;
}
`,
};

/** Builds the native modules in place. Throws EngineError with the messages of the compiler. */
export async function buildBinding(
  install: TensorflowInstall,
  compiler: string,
  headers: string,
): Promise<void> {
  const { folder } = install;
  const deps = join(folder, 'deps');
  const scratch = join(deps, 'build');
  const out = dirname(install.binding);
  await mkdir(scratch, { recursive: true });
  await mkdir(out, { recursive: true });

  const backend = join(scratch, 'tfjs_backend.cc');
  await writeFile(
    backend,
    patchedBackend(await readFile(join(folder, 'binding', 'tfjs_backend.cc'), 'utf8')),
  );
  const napi = /napi-v(\d+)/.exec(install.binding)?.[1] ?? '8';
  const common = ['-O2', '-std=c++17', '-fPIC', '-shared', `-DNAPI_VERSION=${napi}`, `-I${headers}`];
  const binding = join(scratch, 'tfjs_binding.node');
  await compile(compiler, [
    ...common,
    `-I${join(deps, 'include')}`,
    `-I${join(folder, 'binding')}`,
    backend,
    join(folder, 'binding', 'tfjs_binding.cc'),
    '-o',
    binding,
    `-L${join(deps, 'lib')}`,
    '-ltensorflow',
    '-ltensorflow_framework',
    `-Wl,-rpath,$ORIGIN/${relative(out, join(deps, 'lib'))}`,
    ...cudaLinkFlags(deps, out),
  ]);
  const helper = join(scratch, 'stmixer_helper.node');
  await compile(compiler, [...common, nativeSource('helper.cc'), '-o', helper]);

  // Renaming keeps the old file for processes that use it.
  await rename(binding, install.binding);
  await rename(helper, install.helper);
  await rm(scratch, { recursive: true });
}

/** tfjs_backend.cc with the change of TENSOR_NUMBER. Throws EngineError if the source belongs to another version. */
export function patchedBackend(source: string): string {
  const insert = 'namespace tfnodejs {';
  if (!source.includes(TENSOR_NUMBER.before) || !source.includes(insert))
    throw new EngineError(
      'the source of the tfjs-node binding is not that of version 4.22.0: reinstall it with npm ci',
    );
  return source
    .replace(TENSOR_NUMBER.before, TENSOR_NUMBER.after)
    .replace(insert, `${insert}\n${TENSOR_NUMBER.helper}`);
}

/** Flags that link the binding to the CUDA libraries from wheels, by paths relative to it. */
export function cudaLinkFlags(deps: string, out: string): string[] {
  const nvidia = join(deps, 'nvidia');
  if (!existsSync(nvidia)) return [];
  const flags = ['-Wl,--no-as-needed', '-Wl,--allow-shlib-undefined'];
  for (const name of readdirSync(nvidia).sort()) {
    const lib = join(nvidia, name, 'lib');
    const libraries = existsSync(lib) ? readdirSync(lib).filter((file) => CUDA_LIBRARIES.test(file)) : [];
    if (libraries.length === 0) continue;
    flags.push(`-L${lib}`, ...libraries.sort().map((file) => `-l:${file}`));
    flags.push(`-Wl,-rpath,$ORIGIN/${relative(out, lib)}`);
  }
  return flags;
}

function nativeSource(name: string): string {
  return fileURLToPath(new URL(`native/${name}`, import.meta.url));
}

async function compile(compiler: string, args: string[]): Promise<void> {
  const result = await runCommand(compiler, args);
  if (result.code === 0) return;
  throw new EngineError(
    `${compiler} could not build the native part of tfjs-node:\n${errorLines(result.stderr, 12)}\n` +
      '  It takes a compiler with C++17 (GCC 8 or Clang 7)',
  );
}
