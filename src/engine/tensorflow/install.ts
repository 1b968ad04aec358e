/** @file Finds the installed tfjs-node and its native parts. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Probe } from '../probe.js';
import type { Problem } from '../types.js';

export type TensorflowPackage = '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';

export const CPU_PACKAGE: TensorflowPackage = '@tensorflow/tfjs-node';
export const GPU_PACKAGE: TensorflowPackage = '@tensorflow/tfjs-node-gpu';

/** Content of `deps/stmixer.json`, which our set-up writes; absent if the package installed its own libraries. */
export interface SetupRecord {
  /** Describes the origin of libtensorflow. */
  source: string;
  /** Whether it was built with CUDA. */
  cuda: boolean;
}

export interface TensorflowInstall {
  name: TensorflowPackage;
  /** Folder of the npm package. */
  folder: string;
  /** Version of the npm package. */
  version: string;
  /** Path of the native module, which may be missing. */
  binding: string;
  /** Path of our helper, which mutes the libraries while they load; it exists only if our set-up built the binding. */
  helper: string;
  record: SetupRecord | null;
}

/** The installed package, null if there is none. */
export function findInstall(probe: Probe, name: TensorflowPackage): TensorflowInstall | null {
  const folder = probe.packageFolder(name);
  const text = folder && probe.readText(join(folder, 'package.json'));
  if (!folder || !text) return null;
  const { version, binary } = JSON.parse(text) as { version: string; binary: { napi_versions: number[] } };
  const napi = Math.max(...binary.napi_versions.filter((number) => number <= probe.napiVersion));
  const built = join(folder, 'lib', `napi-v${napi}`);
  const record = probe.readText(recordFile(folder));
  return {
    name,
    folder,
    version,
    binding: join(built, 'tfjs_binding.node'),
    helper: join(built, 'stmixer_helper.node'),
    record: record === null ? null : (JSON.parse(record) as SetupRecord),
  };
}

export function recordFile(folder: string): string {
  return join(folder, 'deps', 'stmixer.json');
}

/** Finds the reasons why the package's native parts cannot load, without loading anything. */
export function installProblems(probe: Probe, name: TensorflowPackage): Problem[] {
  const remedy = `run: ${setupCommand(name)}`;
  const install = findInstall(probe, name);
  if (!install) {
    const what = `the npm package ${name} is not installed (it is optional: npm leaves it out with --omit=optional)`;
    return [
      {
        what,
        remedy: `run: npm install --ignore-scripts --no-save ${name}@4.22.0, then ${setupCommand(name)}`,
      },
    ];
  }
  if (!probe.exists(install.binding)) return [{ what: `the native part of ${name} is not set up`, remedy }];
  const libraries = probe.list(join(install.folder, 'deps', 'lib'));
  if (!libraries.some((file) => /^(lib)?tensorflow\.(so|dylib|dll)|^libtensorflow\.2\.dylib/.test(file)))
    return [{ what: `libtensorflow is missing in ${join(install.folder, 'deps', 'lib')}`, remedy }];
  if (probe.platform === 'linux' && probe.arch === 'x64' && !hasAvx(probe)) {
    const what =
      'this processor has no AVX instructions, which libtensorflow needs (it would end the process)';
    return [{ what, remedy: 'use --engine cpu, or a machine with a newer processor' }];
  }
  return [];
}

/** The set-up command for this folder, or for a project that depends on this package. */
export function setupCommand(name: TensorflowPackage, flag = ''): string {
  const flags = [name === GPU_PACKAGE ? '--gpu' : '', flag].filter(Boolean).join(' ');
  const isDependency = fileURLToPath(import.meta.url).includes(join('node_modules', 'stmixer'));
  const command = `npm run setup:tensorflow${flags && ` -- ${flags}`}`;
  return isDependency ? `npm explore stmixer -- ${command}` : command;
}

function hasAvx(probe: Probe): boolean {
  const flags = probe.readText('/proc/cpuinfo')?.match(/^flags\s*:(.*)$/m)?.[1];
  return flags === undefined || /\bavx\b/.test(flags);
}
