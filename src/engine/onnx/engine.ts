/** @file The onnx engine's row in the selection's table. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../../errors.js';
import type { Probe } from '../probe.js';
import { chooseCoreThreads, type ThreadChoice } from '../threads.js';
import type { EngineInfo, EngineRow, Problem } from '../types.js';
import { BACKEND_NAME, OnnxBackend } from './backend.js';
import { libraryPath, loadOrtApi, ORT_VERSION } from './c_api.js';
import { OrtCompiler } from './compiler.js';
import { LOWERINGS, registerKernels } from './registration.js';
import { OrtRuntime } from './runtime.js';

const PACKAGE = 'onnxruntime-node';

/** Threads of ONNX Runtime in this process: one environment, made by the first start and kept for good. */
let started: ThreadChoice | null = null;

export class OnnxEngine implements EngineRow {
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

  async start(verbose: boolean): Promise<Omit<EngineInfo, 'notes'>> {
    if (started === null) {
      const choice = chooseCoreThreads(this.probe);
      const folder = this.probe.packageFolder(PACKAGE) as string;
      const path = libraryPath(this.probe.platform, this.probe.arch, folder) as string;
      let runtime: OrtRuntime;
      try {
        runtime = new OrtRuntime(loadOrtApi(path), { threads: choice.threads, verbose });
      } catch (error) {
        if (error instanceof EngineError) throw error;
        const text = error instanceof Error ? error.message : String(error);
        throw new EngineError(
          `ONNX Runtime (${path}) does not start: ${text.split('\n')[0]}. To mend it, run npm ci`,
          {
            cause: error,
          },
        );
      }
      const compiler = new OrtCompiler(runtime, LOWERINGS);
      tf.registerBackend(BACKEND_NAME, () => new OnnxBackend(runtime, compiler));
      registerKernels(BACKEND_NAME);
      started = choice;
    }
    await tf.setBackend(BACKEND_NAME);
    const { threads, reason } = started;
    const count = `${threads} thread${threads === 1 ? '' : 's'}`;
    const description = `onnx on CPU, ${count} (${reason}; ONNX Runtime ${ORT_VERSION})`;
    return { engine: 'onnx', device: 'cpu', description, version: ORT_VERSION, threads };
  }
}
