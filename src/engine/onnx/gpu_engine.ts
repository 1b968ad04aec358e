/** @file The engine provider of the onnx engine on a GPU of any vendor. */
import { EngineError } from '../../errors.js';
import type { PowerPreference } from '../gpu/dawn_order.js';
import { bufferLimits, describeGpu, type GpuDevice } from '../gpu/device.js';
import type { Gpus } from '../gpu/gpus.js';
import { hasGpuHardware } from '../gpu/missing_gpu.js';
import type { Probe } from '../probe.js';
import type { EngineProvider, Problem, StartedEngine, StartOptions } from '../types.js';
import { ORT_VERSION } from './c_api.js';
import { runSelfTest } from './self_test.js';
import { libraryProblems, otherDeviceProblems, runningRuntime, startBackend } from './start.js';

/** The part of a request that decides which GPU is taken. */
type GpuChoice = Pick<StartOptions, 'device' | 'gpuIndex' | 'local'>;

export class OnnxGpuEngine implements EngineProvider {
  readonly engine = 'onnx';
  readonly device = 'gpu';

  constructor(
    private readonly probe: Probe,
    private readonly gpus: Gpus,
    private readonly selfTest = runSelfTest,
  ) {}

  problems(choice: GpuChoice): Problem[] {
    const problems = [...libraryProblems(this.probe), ...otherDeviceProblems('gpu'), ...this.#platform()];
    if (problems.length > 0) return problems;
    if (!this.#isAskedFor(choice) && !hasGpuHardware(this.probe)) return [NO_HARDWARE];
    return this.gpus.problems(this.#request(choice));
  }

  detail(): string | undefined {
    const devices = this.gpus.devices();
    if (devices.length === 0) return undefined;
    return devices
      .map((device) => {
        const note = device.type === 'software' ? ' (computes on the processor; only if you ask for it)' : '';
        return `${device.index}: ${describeGpu(device)}${note}`;
      })
      .join('\n');
  }

  isWorthANote(): boolean {
    return hasGpuHardware(this.probe);
  }

  async start(options: StartOptions): Promise<StartedEngine> {
    const { device, powerPreference } = this.gpus.select(this.#request(options));
    // Whoever asks for the GPU wants it even if it is slower than the processor.
    const speed =
      runningRuntime() || this.#isAskedFor(options) ? '' : await this.#testedSpeed(device, powerPreference);
    const { bufferBytes: maxBufferBytes } = bufferLimits(device);
    await startBackend(this.probe, options, { powerPreference, maxBufferBytes });
    const { name, driver, memoryBytes } = device;
    return {
      engine: 'onnx',
      device: 'gpu',
      description: `onnx on GPU: ${describeGpu(device)}${speed} (ONNX Runtime ${ORT_VERSION}, WebGPU on ${device.backend})`,
      version: ORT_VERSION,
      threads: 1,
      gpu: { name, driver, memoryBytes },
      gpuMemory: () => this.gpus.memory(device),
    };
  }

  #platform(): Problem[] {
    const { platform, arch } = this.probe;
    return platform === 'linux' && arch === 'arm64' ? [NO_PROVIDER] : [];
  }

  /** Whether the user named the device or a GPU, and not only wants the fastest engine. */
  #isAskedFor({ device, gpuIndex = -1 }: GpuChoice): boolean {
    return device === 'gpu' || gpuIndex >= 0 || Boolean(this.probe.env.STMIXER_GPU);
  }

  #request({ device, gpuIndex = -1, local }: GpuChoice) {
    return { index: gpuIndex < 0 ? null : gpuIndex, isRequired: device === 'gpu', local };
  }

  /** Throws EngineError if the GPU computes wrong results, or is slower than the processor. */
  async #testedSpeed({ name }: GpuDevice, preference: PowerPreference): Promise<string> {
    const result = await this.selfTest(preference, this.probe.env);
    if ('failure' in result) throw new EngineError(`${name} fails the self-test: ${result.failure}`);
    const [gpu, cpu] = [result.gpuGflops, result.cpuGflops].map(Math.round);
    if (gpu <= cpu)
      throw new EngineError(
        `${name} computes ${gpu} GFLOP/s, the processor ${cpu} (--device gpu uses the GPU all the same)`,
      );
    return `, ${gpu} GFLOP/s in the self-test`;
  }
}

const NO_PROVIDER: Problem = {
  what: 'onnxruntime-node has no WebGPU provider for linux arm64',
  remedy: 'use --device cpu',
};

const NO_HARDWARE: Problem = {
  what: 'this machine shows no GPU: there is no /dev/dri/renderD* and no NVIDIA driver',
  remedy: 'in a container, start it with --gpus all (NVIDIA) or --device /dev/dri (AMD, Intel)',
};
