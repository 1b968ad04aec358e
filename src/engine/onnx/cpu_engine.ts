/** @file The engine provider of the onnx engine on the CPU. */
import { countOf } from '../../util/text.js';
import type { Probe } from '../probe.js';
import type { EngineProvider, Problem, StartedEngine, StartOptions } from '../types.js';
import { ORT_VERSION } from './c_api.js';
import { libraryProblems, otherDeviceProblems, startBackend } from './start.js';

export class OnnxCpuEngine implements EngineProvider {
  readonly engine = 'onnx';
  readonly device = 'cpu';

  constructor(private readonly probe: Probe) {}

  problems(): Problem[] {
    return [...libraryProblems(this.probe), ...otherDeviceProblems('cpu')];
  }

  isWorthANote(): boolean {
    return true;
  }

  async start(options: StartOptions): Promise<StartedEngine> {
    const { threads, native } = await startBackend(this.probe, options);
    const kernels = 'domain' in native ? 'native kernels' : `no native kernels: ${native.missing}`;
    const pool = `${countOf(threads.threads, 'thread')} (${threads.reason}; ONNX Runtime ${ORT_VERSION}; ${kernels})`;
    return {
      engine: 'onnx',
      device: 'cpu',
      description: `onnx on CPU, ${pool}`,
      version: ORT_VERSION,
      threads: threads.threads,
    };
  }
}
