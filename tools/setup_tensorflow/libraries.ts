/** @file Puts libtensorflow and its headers where tfjs-node's binding looks for them: the package's `deps` folder. */
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EngineError } from '../../src/errors.js';
import { cudaRequirements, type EntryPicker, fetchWheel, unpackWheel, wheelRequirements } from './wheel.js';

/** The version that the project is tested with. */
export const TENSORFLOW_VERSION = '2.21.0';

const MIB = 2 ** 20;

export type Say = (line: string) => void;

/** Disk space in bytes for wheels and their contents. */
export function wheelSpace(gpu: boolean): number {
  return gpu ? 10_000 * MIB : 1_300 * MIB;
}

/** The wheel that holds libtensorflow. For x64 there is one without CUDA, of half the size. */
export function wheelRequirement(gpu: boolean, arch: string = process.arch): string {
  return `${gpu || arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu'}==${TENSORFLOW_VERSION}`;
}

/**
 * Gets the libraries from the package index through pip; deletes the wheels once they are unpacked. Returns whether
 * libtensorflow was built with CUDA. Throws EngineError.
 */
export async function librariesFromPip(
  python: string,
  gpu: boolean,
  deps: string,
  say: Say,
): Promise<boolean> {
  const downloads = join(deps, 'download');
  const requirement = wheelRequirement(gpu);
  say(`fetching ${requirement} with pip (about ${gpu ? 600 : 270} MB)`);
  const wheel = await fetchWheel(python, requirement, downloads);
  if (gpu) {
    for (const needed of cudaRequirements(await wheelRequirements(wheel))) {
      say(`fetching ${needed}`);
      await fetchWheel(python, needed, downloads);
    }
  }
  const cuda = await librariesFromWheels(wheelsIn(downloads), deps, say);
  await rm(downloads, { recursive: true });
  return cuda;
}

/** Gets the libraries from wheel files: tensorflow's and, for a GPU, NVIDIA's. Returns whether they were built with CUDA. */
export async function librariesFromWheels(wheels: string[], deps: string, say: Say): Promise<boolean> {
  const main = wheels.find((file) => /^tensorflow(_cpu)?-\d/.test(basename(file)));
  if (!main) {
    const found = wheels.map((file) => basename(file)).join(', ');
    throw new EngineError(
      `no wheel named tensorflow-… or tensorflow_cpu-… among: ${found || 'no wheel at all'}`,
    );
  }
  say(`unpacking ${basename(main)}`);
  await unpackWheel(main, deps, pickTensorflow);
  for (const wheel of wheels.filter((file) => file !== main)) {
    say(`unpacking ${basename(wheel)}`);
    await unpackWheel(wheel, deps, pickNvidia);
  }
  const lib = join(deps, 'lib');
  if (!libraryNames(lib).some((file) => file.startsWith('libtensorflow_cc.so')))
    throw new EngineError(
      `${basename(main)} holds no libtensorflow_cc.so: it takes TensorFlow 2.13 or newer for Linux`,
    );
  await addPlainNames(lib);
  return hasCuda(lib);
}

/**
 * From a folder: wheels, an unpacked libtensorflow (include/, lib/), or the `tensorflow` folder of a Python
 * installation. Libraries are linked, not copied. Throws EngineError.
 */
export async function librariesFrom(path: string, deps: string, say: Say): Promise<boolean> {
  const from = resolve(path);
  if (!existsSync(from)) throw new EngineError(`--from ${path}: there is no such file or folder`);
  if (!statSync(from).isDirectory()) {
    if (!from.endsWith('.whl')) throw new EngineError(`--from ${path}: expected a folder or a .whl file`);
    return librariesFromWheels([from], deps, say);
  }
  const wheels = wheelsIn(from);
  if (wheels.length > 0) return librariesFromWheels(wheels, deps, say);

  const roots = [from, join(from, 'tensorflow'), dirname(from)];
  const include = roots
    .map((root) => join(root, 'include'))
    .find((folder) => existsSync(join(folder, 'tensorflow', 'c', 'c_api.h')));
  const lib = [join(from, 'lib'), from, join(from, 'tensorflow')].find((folder) => {
    const names = libraryNames(folder);
    return ['libtensorflow_framework.so', 'libtensorflow'].every((prefix) =>
      names.some((name) => name.startsWith(prefix)),
    );
  });
  if (!include || !lib) {
    const missing = include
      ? 'libtensorflow*.so and libtensorflow_framework*.so'
      : 'include/tensorflow/c/c_api.h';
    throw new EngineError(
      `--from ${path}: ${missing} is not in it. Expected a folder with include/ and lib/ (as libtensorflow is ` +
        "published), the tensorflow folder of a Python's site-packages, or one with wheels",
    );
  }
  say(`linking ${lib}`);
  await mkdir(join(deps, 'lib'), { recursive: true });
  await link(include, join(deps, 'include'));
  for (const name of libraryNames(lib)) await link(join(lib, name), join(deps, 'lib', name));
  const nvidia = join(dirname(lib), 'nvidia');
  if (existsSync(nvidia)) await link(nvidia, join(deps, 'nvidia'));
  await addPlainNames(join(deps, 'lib'));
  return hasCuda(join(deps, 'lib'));
}

/** Picks `tensorflow/include/x` → `include/x` for the headers of the C API, and the two libraries → `lib/`. */
export const pickTensorflow: EntryPicker = (name) => {
  const library = /^tensorflow\/(libtensorflow_(?:cc|framework)\.so[.\d]*)$/.exec(name);
  if (library) return join('lib', library[1]);
  const header = /^tensorflow\/(include\/(?:tensorflow\/(?:c|core\/platform|tsl)|tsl|xla\/tsl)\/.+\.h)$/.exec(
    name,
  );
  return header ? header[1] : null;
};

/** Picks files such as `nvidia/cublas/lib/libcublas.so.12` and the few programs and data beside them; no headers. */
export const pickNvidia: EntryPicker = (name) =>
  /^nvidia\/[^/]+\/(lib|bin|nvvm)\/.*[^/]$/.test(name) && !name.endsWith('.py') ? name : null;

function wheelsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.whl'))
    .map((file) => join(folder, file));
}

function libraryNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((file) => /^libtensorflow[\w]*\.so[.\d]*$/.test(file));
}

/** Links libtensorflow.so and libtensorflow_framework.so, which the linker looks for, to the names in wheels. */
async function addPlainNames(lib: string): Promise<void> {
  const names = libraryNames(lib);
  for (const [plain, pattern] of [
    ['libtensorflow.so', /^libtensorflow(_cc)?\.so\./],
    ['libtensorflow_framework.so', /^libtensorflow_framework\.so\./],
  ] as const) {
    const target = names.find((name) => pattern.test(name));
    if (!names.includes(plain) && target) await link(target, join(lib, plain));
  }
}

async function link(target: string, path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await symlink(target, path);
}

/** Whether the libraries hold TensorFlow's cuDNN code, which a build without CUDA does not have. */
async function hasCuda(lib: string): Promise<boolean> {
  const marker = 'CudnnSupport';
  for (const name of libraryNames(lib).filter((file) => !file.endsWith('.so'))) {
    let tail = '';
    for await (const chunk of createReadStream(join(lib, name), {
      highWaterMark: 8 * MIB,
      encoding: 'latin1',
    })) {
      if ((tail + chunk).includes(marker)) return true;
      tail = (chunk as string).slice(-marker.length);
    }
  }
  return false;
}
