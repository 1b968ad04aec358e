/** @file Starts ONNX Runtime in this process, which has at most one, and registers the backend with tfjs. */
import { EngineError } from '../../errors.js';
import { refuseOtherThreads } from '../in_use.js';
import type { Probe } from '../probe.js';
import { registerKernels } from '../record/registration.js';
import { tf } from '../tfjs.js';
import { chooseCoreThreads, resolveThreads } from '../threads.js';
import type { Problem, StartOptions } from '../types.js';
import { BACKEND_NAME, OnnxBackend } from './backend.js';
import { libraryPath, loadOrtApi } from './c_api.js';
import { OrtCompiler } from './compiler.js';
import { GPU_KERNELS, type KernelSet, NATIVE_KERNELS, ONNX_KERNELS } from './kernel_set.js';
import type { GpuOptions } from './memory/gpu_memory.js';
import { nativeLibrary } from './native/library.js';
import { OrtRuntime } from './runtime.js';

const PACKAGE = 'onnxruntime-node';
/** Serial graphs at the same time. More would compete for the memory's bandwidth, and need memory of their own. */
const MAX_LANES = 4;

/** Path of ONNX Runtime's library; null if there is none for this machine. */
export function ortLibrary({ packageFolder, platform, arch }: Probe): string | null {
  const folder = packageFolder(PACKAGE);
  return folder && libraryPath(platform, arch, folder);
}

/** Finds the reasons why ONNX Runtime cannot be loaded. */
export function libraryProblems(probe: Probe): Problem[] {
  if (!probe.packageFolder(PACKAGE))
    return [{ what: `the package ${PACKAGE} is not installed`, remedy: 'run npm ci' }];
  const library = ortLibrary(probe);
  if (library && probe.exists(library)) return [];
  const { platform, arch } = probe;
  const what = `${PACKAGE} has no library for ${platform} ${arch}`;
  return [{ what, remedy: 'use --engine tensorflow or --engine cpu' }];
}

/** The reason why the engine cannot run on a device if it already runs on another one in this process. */
export function otherDeviceProblems(device: OrtRuntime['device']): Problem[] {
  const running = runningRuntime();
  if (!running || running.device === device) return [];
  const what = `onnx already runs on ${running.device} in this process, and cannot change over`;
  return [{ what, remedy: 'start another process' }];
}

/**
 * Makes the onnx backend current, on the CPU, or on a GPU if `gpu` is given. The process must not have one on another device.
 * Throws EngineInUseError if it has one with other threads, and EngineError if ONNX Runtime does not start.
 */
export async function startBackend(
  probe: Probe,
  options: StartOptions,
  gpu?: GpuOptions,
): Promise<OrtRuntime> {
  const running = runningRuntime();
  if (running) refuseOtherThreads('onnx', running.threads, resolveThreads(options.threads ?? 0, probe.env));
  const runtime = running ?? startRuntime(probe, options, gpu);
  runtime.setVerbose(options.verbose ?? false);
  if (!running) registerBackend(runtime);
  await tf.setBackend(BACKEND_NAME);
  return runtime;
}

/** The runtime of this process's onnx backend; null before the first start. */
export function runningRuntime(): OrtRuntime | null {
  const backend: tf.KernelBackend | null = tf.findBackend(BACKEND_NAME);
  if (backend === null) return null;
  if (backend instanceof OnnxBackend && backend.tensors instanceof OrtRuntime) return backend.tensors;
  throw new EngineError(`another backend is registered with tfjs as "${BACKEND_NAME}"`);
}

/** Loads ONNX Runtime. Throws EngineError. */
export function startRuntime(
  probe: Probe,
  { threads, verbose, strict, warn }: StartOptions,
  gpu?: GpuOptions,
): OrtRuntime {
  const choice = chooseCoreThreads(probe, threads);
  const path = ortLibrary(probe) as string;
  const native = gpu ? undefined : nativeLibrary(probe);
  try {
    return new OrtRuntime(loadOrtApi(path), { threads: choice, gpu, verbose, strict, warn, native });
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const [text] = (error instanceof Error ? error.message : String(error)).split('\n');
    const message = gpu
      ? `ONNX Runtime does not start on the GPU: ${text}. Update its driver, or use --device cpu`
      : `ONNX Runtime (${path}) does not start: ${text}. To fix it, run npm ci`;
    throw new EngineError(message, { cause: error });
  }
}

function registerBackend(runtime: OrtRuntime): void {
  const kernels = kernelsOf(runtime);
  const compiler = new OrtCompiler(runtime, kernels);
  const lanes = Math.min(MAX_LANES, runtime.threads.threads);
  tf.registerBackend(BACKEND_NAME, () => new OnnxBackend(runtime, compiler, kernels, lanes));
  registerKernels(BACKEND_NAME, kernels);
}

function kernelsOf({ device, native }: OrtRuntime): KernelSet {
  if (device === 'gpu') return GPU_KERNELS;
  return 'domain' in native ? NATIVE_KERNELS : ONNX_KERNELS;
}
