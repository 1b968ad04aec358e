/** @file Selects the engine from a list of providers, tried from the fastest to the slowest. */
import { EngineError } from '../errors.js';
import { CudaEngine, type CudaParts } from './cuda/cuda_engine.js';
import { Engine } from './engine.js';
import { Gpus } from './gpu/gpus.js';
import type { GpuSource } from './gpu/source.js';
import { EngineInUseError } from './in_use.js';
import { OnnxCpuEngine } from './onnx/cpu_engine.js';
import { OnnxGpuEngine } from './onnx/gpu_engine.js';
import type { Probe } from './probe.js';
import { problemText } from './problem.js';
import { TensorflowRuntime } from './tensorflow/runtime.js';
import { tf } from './tfjs.js';
import { resolveThreads } from './threads.js';
import type {
  DeviceName,
  EngineAvailability,
  EngineProvider,
  EngineRequest,
  StartedEngine,
  StartOptions,
} from './types.js';

type Choice = Required<Pick<EngineRequest, 'engine' | 'device'>>;

/** Selects among the engines of one process. */
export class EngineSelector {
  /** In the order in which `auto` tries them. */
  readonly #providers: EngineProvider[];

  /** `parts` are for tests. */
  constructor(
    private readonly probe: Probe,
    parts: { readonly gpus?: GpuSource; readonly cuda?: CudaParts } = {},
  ) {
    const tensorflow = new TensorflowRuntime(probe);
    this.#providers = [
      new CudaEngine(probe, parts.cuda),
      tensorflow.provider('cuda'),
      new OnnxGpuEngine(probe, new Gpus(probe, parts.gpus)),
      new OnnxCpuEngine(probe),
      tensorflow.provider('cpu'),
      plainProvider,
    ];
  }

  /** Makes the first engine current that fits the request and works. Throws EngineError. */
  async select({ engine = 'auto', device = 'auto', ...options }: EngineRequest): Promise<Engine> {
    const request = { engine, device, ...options };
    // An invalid STMIXER_THREADS is an error for every engine.
    resolveThreads(request.threads ?? 0, this.probe.env);
    // In production mode tfjs prints no advertisements on standard error.
    tf.env().set('PROD', !request.verbose);
    const able = this.#providers.filter(
      ({ engine, device }) =>
        (request.engine === 'auto' || engine === request.engine) && isOnDevice(device, request.device),
    );
    if (able.length === 0) throw new EngineError(this.#impossible(request));
    const isExact = (request.precision ?? 'float32') === 'float32';
    const providers = isExact ? able : able.filter((provider) => provider.engine === 'cuda');
    if (providers.length === 0) throw new EngineError(inexact(request));
    const notes: string[] = [];
    const failures: string[] = [];
    for (const provider of providers) {
      const problems = provider.problems(request);
      const misuse = problems.find(({ isMisuse }) => isMisuse);
      if (misuse) throw new EngineError(problemText(misuse));
      const result = problems.length > 0 ? problems.map(problemText) : await attempt(provider, request);
      if (!Array.isArray(result)) return this.#engine(result, notes);
      failures.push(...result);
      if (problems.length > 0 && !provider.isWorthANote()) continue;
      notes.push(`not on ${provider.engine}/${provider.device}: ${result.join('; ')}`);
    }
    throw new EngineError(failureText(request, failures) + (isExact ? '' : `\n${inexact(request)}`));
  }

  /** All engines in the order in which `auto` tries them, with what they lack. */
  availability(): EngineAvailability[] {
    return this.#providers.map((provider) => {
      const { engine, device } = provider;
      const problems = provider.problems({ device }).map(problemText);
      const isForAuto = problems.length === 0 && provider.problems({}).length === 0;
      return { engine, device, problems, isForAuto, detail: provider.detail?.() };
    });
  }

  #engine(info: StartedEngine, notes: string[]): Engine {
    const description = [info.description, ...notes].join('; ');
    return new Engine({ ...info, notes, description });
  }

  #impossible({ engine, device }: Choice): string {
    const devices = this.#providers.filter((other) => other.engine === engine).map((other) => other.device);
    const others = this.#providers.filter((other) => other.device === device).map((other) => other.engine);
    return (
      `--engine ${engine} does not run on ${device}, only on ${devices.join(' and ')}: ` +
      `choose --device ${devices.join(' or ')}, or --engine ${others.join(' or ')}`
    );
  }
}

/** Whether a request for a device is about one that a provider runs on: CUDA's are GPUs, too. */
function isOnDevice(device: DeviceName, requested: Choice['device']): boolean {
  return requested === 'auto' || device === requested || (requested === 'gpu' && device === 'cuda');
}

/** Starts the engine, or returns the reasons why it does not start. */
async function attempt(provider: EngineProvider, options: StartOptions): Promise<StartedEngine | string[]> {
  try {
    return await provider.start(options);
  } catch (error) {
    if (!(error instanceof EngineError) || error instanceof EngineInUseError) throw error;
    return [error.message];
  }
}

/** The JavaScript kernels of tfjs, which run everywhere. Tests compare the other engines with them. */
const plainProvider: EngineProvider = {
  engine: 'cpu',
  device: 'cpu',
  problems: () => [],
  isWorthANote: () => true,
  async start() {
    await tf.setBackend('cpu');
    const version = tf.version.tfjs;
    const description = `cpu: plain JavaScript on one thread (tfjs ${version})`;
    return { engine: 'cpu', device: 'cpu', description, version, threads: 1 };
  },
};

/** Which engine has the requested precision. */
function inexact({ precision }: EngineRequest): string {
  return `ENGINE.PRECISION ${precision} is for --engine cuda alone; ENGINE.PRECISION float32 runs on every engine`;
}

function failureText({ engine, device }: Choice, failures: string[]): string {
  const asked = [
    engine === 'auto' ? '' : `--engine ${engine}`,
    device === 'auto' ? '' : `--device ${device}`,
  ];
  const list = [...new Set(failures)];
  const reasons = list.length === 1 ? ` ${list[0]}` : list.map((line) => `\n  - ${line}`).join('');
  return `${asked.filter(Boolean).join(' ')} cannot run here:${reasons}`;
}
