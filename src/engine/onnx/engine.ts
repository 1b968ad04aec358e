/** @file The engine provider of the onnx engine. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../../errors.js';
import { countOf } from '../../util/text.js';
import { refuseOtherThreads } from '../in_use.js';
import type { Probe } from '../probe.js';
import { chooseCoreThreads, resolveThreads } from '../threads.js';
import type { EngineInfo, EngineProvider, Problem, StartOptions } from '../types.js';
import { BACKEND_NAME, OnnxBackend } from './backend.js';
import { libraryPath, loadOrtApi, ORT_VERSION } from './c_api.js';
import { OrtCompiler } from './compiler.js';
import { NATIVE_KERNELS, ONNX_KERNELS } from './kernel_set.js';
import { nativeLibrary } from './native/library.js';
import { registerKernels } from './registration.js';
import { OrtRuntime } from './runtime.js';

const PACKAGE = 'onnxruntime-node';
/** Serial graphs at the same time. More would compete for the memory's bandwidth, and need memory of their own. */
const MAX_LANES = 4;

export class OnnxEngine implements EngineProvider {
  readonly engine = 'onnx';
  readonly device = 'cpu';

  constructor(private readonly probe: Probe) {}

  problems(): Problem[] {
    const folder = this.probe.packageFolder(PACKAGE);
    if (!folder) return [{ what: `the package ${PACKAGE} is not installed`, remedy: 'run npm ci' }];
    const { platform, arch } = this.probe;
    const library = libraryPath(platform, arch, folder);
    if (!library || !this.probe.exists(library)) {
      const what = `${PACKAGE} has no library for ${platform} ${arch}`;
      return [{ what, remedy: 'use --engine tensorflow or --engine cpu' }];
    }
    return [];
  }

  isWorthANote(): boolean {
    return true;
  }

  async start({ threads: requested = 0, verbose = false }: StartOptions): Promise<Omit<EngineInfo, 'notes'>> {
    // A process has one environment of ONNX Runtime with one pool of threads, and one onnx backend.
    const running = runningRuntime();
    if (running) refuseOtherThreads('onnx', running.threads, resolveThreads(requested, this.probe.env));
    const runtime = running ?? startRuntime(this.probe, { threads: requested, verbose });
    runtime.setVerbose(verbose);
    if (!running) registerBackend(runtime);
    await tf.setBackend(BACKEND_NAME);
    const { threads, reason } = runtime.threads;
    const kernels =
      'domain' in runtime.native ? 'native kernels' : `no native kernels: ${runtime.native.missing}`;
    const description = `onnx on CPU, ${countOf(threads, 'thread')} (${reason}; ONNX Runtime ${ORT_VERSION}; ${kernels})`;
    return { engine: 'onnx', device: 'cpu', description, version: ORT_VERSION, threads };
  }
}

function registerBackend(runtime: OrtRuntime): void {
  const kernels = 'domain' in runtime.native ? NATIVE_KERNELS : ONNX_KERNELS;
  const compiler = new OrtCompiler(runtime, kernels.lowerings);
  const lanes = Math.min(MAX_LANES, runtime.threads.threads);
  tf.registerBackend(BACKEND_NAME, () => new OnnxBackend(runtime, compiler, kernels, lanes));
  registerKernels(BACKEND_NAME, kernels);
}

/** The runtime of this process's onnx backend; null before the first start. */
function runningRuntime(): OrtRuntime | null {
  const backend: tf.KernelBackend | null = tf.findBackend(BACKEND_NAME);
  if (backend === null) return null;
  if (backend instanceof OnnxBackend && backend.tensors instanceof OrtRuntime) return backend.tensors;
  throw new EngineError(`another backend is registered with tfjs as "${BACKEND_NAME}"`);
}

/** Loads ONNX Runtime. Throws EngineError. */
export function startRuntime(probe: Probe, { threads, verbose }: StartOptions): OrtRuntime {
  const choice = chooseCoreThreads(probe, threads);
  const folder = probe.packageFolder(PACKAGE) as string;
  const path = libraryPath(probe.platform, probe.arch, folder) as string;
  try {
    return new OrtRuntime(loadOrtApi(path), { threads: choice, verbose, native: nativeLibrary(probe) });
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw new EngineError(
      `ONNX Runtime (${path}) does not start: ${text.split('\n')[0]}. To fix it, run npm ci`,
      { cause: error },
    );
  }
}
