/** @file The engines of this machine: what each is, whether it can run here, and which one `auto` tries first. */
import { type EngineAvailability, engineAvailability } from '../engine/index.js';

/** What each engine is: what it runs on, and where it comes from. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  'cuda/cuda': 'CUDA kernels, cuBLASLt and cuDNN on an NVIDIA GPU; npm run setup:cuda sets it up',
  'tensorflow/cuda': 'TensorFlow on an NVIDIA GPU; npm run setup:tensorflow -- --gpu sets it up',
  'onnx/gpu': 'ONNX Runtime on a GPU with a Vulkan, Metal or D3D12 driver; part of the npm packages',
  'onnx/cpu': 'ONNX Runtime on every CPU; part of the npm packages',
  'tensorflow/cpu': 'TensorFlow on a CPU; npm run setup:tensorflow sets it up',
  'cpu/cpu': 'plain JavaScript on one thread, which is slow; always available',
};

/** An engine on a device. */
export interface ListedEngine {
  readonly engine: string;
  readonly device: string;
  readonly description: string;
  /** Whether nothing is known to be missing. */
  readonly usable: boolean;
  /** Whether `auto` tries this one first. */
  readonly auto: boolean;
  /** Missing parts, each with a way to get it. */
  readonly problems: readonly string[];
  /** Number, name, driver and memory of each device, one in a line. */
  readonly detail?: string;
}

/** Lists all engines in the order in which `auto` tries them. Starts none. */
export function listEngines(available: readonly EngineAvailability[] = engineAvailability()): ListedEngine[] {
  const first = available.find(({ isForAuto }) => isForAuto);
  return available.map((entry) => ({
    engine: entry.engine,
    device: entry.device,
    description: DESCRIPTIONS[`${entry.engine}/${entry.device}`] ?? '',
    usable: entry.problems.length === 0,
    auto: entry === first,
    problems: entry.problems,
    ...(entry.detail === undefined ? {} : { detail: entry.detail }),
  }));
}

/** The list for people to read. `mark` writes a check mark or a cross. */
export function engineListText(engines: readonly ListedEngine[], mark: (isGood: boolean) => string): string {
  const width = Math.max(...engines.map(({ engine, device }) => `${engine}/${device}`.length));
  const lines = engines.flatMap(({ engine, device, usable, detail, description, problems }) => [
    `${mark(usable)} ${`${engine}/${device}`.padEnd(width)}  ${description}`,
    ...[...(detail?.split('\n') ?? []), ...problems].map((line) => `    ${line}`),
  ]);
  const chosen = engines.find(({ auto }) => auto);
  if (chosen) lines.push('', `auto tries ${chosen.engine}/${chosen.device} first`);
  return lines.join('\n');
}
