/** @file Loads tfjs-node's native parts into this process, and explains in one sentence why they do not load. */
import { createRequire } from 'node:module';
import { EngineError } from '../../errors.js';
import type { Probe } from '../probe.js';
import { tf } from '../tfjs.js';
import type { DeviceName } from '../types.js';
import { type LoadOptions, tensorflowEnvironment } from './environment.js';
import { setupCommand, type TensorflowInstall } from './install.js';

/** The part of tfjs-node's backend that we read. */
interface NodeBackend {
  isUsingGpuDevice: boolean;
  binding: { TF_Version: string };
}

/** The native module that our set-up builds beside the binding: tools/setup_tensorflow/native/helper.cc. */
interface Helper {
  muteStandardError(): void;
  restoreStandardError(): void;
}

export interface LoadedTensorflow {
  install: TensorflowInstall;
  /** The device that it computes on: the CPU, even if a GPU was requested, when TensorFlow finds none. */
  device: DeviceName;
  /** Version of libtensorflow. */
  version: string;
}

/**
 * Loads the package and registers its tfjs backend `tensorflow`. Native code stays loaded until the process ends. Throws
 * EngineError with the cause.
 */
export async function loadTensorflow(
  probe: Probe,
  install: TensorflowInstall,
  options: LoadOptions,
): Promise<LoadedTensorflow> {
  const settings = tensorflowEnvironment(probe, options);
  const before = Object.keys(settings).map((name) => [name, probe.env[name]] as const);
  Object.assign(probe.env, settings);
  restoreRemovedUtilities();
  try {
    // The native module first: if it fails, the package has not registered half of its kernels yet.
    const helper = options.verbose ? null : loadHelper(probe, install);
    muted(helper, () => probe.load(install.binding));
    muted(helper, () => probe.load(install.folder));
  } catch (error) {
    for (const [name, value] of before) {
      if (value === undefined) delete probe.env[name];
      else probe.env[name] = value;
    }
    throw new EngineError(loadFailure(error, install), { cause: error });
  }
  await tf.setBackend('tensorflow');
  const backend = tf.backend() as unknown as NodeBackend;
  return { install, device: backend.isUsingGpuDevice ? 'cuda' : 'cpu', version: backend.binding.TF_Version };
}

/** tfjs-node 4.22 calls functions of node:util that Node 23 removed, and that warn before that. */
function restoreRemovedUtilities(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util.isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  util.isArray = Array.isArray;
}

function loadHelper(probe: Probe, install: TensorflowInstall): Helper | null {
  return probe.exists(install.helper) ? (probe.load(install.helper) as Helper) : null;
}

/** Runs `action` without standard error: libtensorflow prints some notices while it loads, at any log level. */
function muted(helper: Helper | null, action: () => unknown): void {
  helper?.muteStandardError();
  try {
    action();
  } finally {
    helper?.restoreStandardError();
  }
}

/** Explains an error of a native module and what to do about it. */
export function loadFailure(error: unknown, install: TensorflowInstall): string {
  const text = error instanceof Error ? error.message : String(error);
  const again = `run: ${setupCommand(install.name, '--force')}`;
  const [cause, remedy] = causeOf(text, again);
  return `the native part of ${install.name} does not load: ${cause}. To fix it, ${remedy}.\n  (${text.split('\n')[0]})`;
}

function causeOf(text: string, again: string): [cause: string, remedy: string] {
  const missing = /([\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(text)?.[1];
  if (missing) {
    const isCuda = /^lib(cu|nv|nccl)/.test(missing);
    return [
      `the library ${missing} is not found`,
      isCuda ? `${again}, or add the folder of the CUDA libraries to LD_LIBRARY_PATH` : again,
    ];
  }
  const symbolVersion = /version `((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found/.exec(text)?.[1];
  if (symbolVersion)
    return [
      `this system's C or C++ library is too old (no ${symbolVersion})`,
      'use a newer Linux, or a libtensorflow built for this one (--from)',
    ];
  if (/invalid ELF header|wrong ELF class|file too short|not a mach-o|not a valid Win32/i.test(text))
    return ['the file is damaged or built for another kind of processor or system', again];
  if (/undefined symbol/.test(text)) return ['it was built for another version of libtensorflow', again];
  if (/NODE_MODULE_VERSION|did not self-register|Module version mismatch/.test(text))
    return ['it was built for another version of Node', again];
  if (/Cannot find module/.test(text))
    return ['a part of the npm package is missing', `run npm ci, then ${again}`];
  return ['the system refuses it', again];
}
