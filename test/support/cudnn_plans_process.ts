/**
 * @file A process of its own that builds plans of cuDNN for a GPU that is not there, and writes a line of JSON for each. cuDNN ends
 * the process if it does not find what it needs. Arguments: the JSON of a PlansTask.
 */
import { Cudnn } from '../../src/engine/cuda/api/cudnn.js';
import {
  type AttentionShape,
  attentionBackward,
  attentionForward,
} from '../../src/engine/cuda/cudnn/attention.js';
import { type ConvolutionShape, convolution } from '../../src/engine/cuda/cudnn/convolution.js';
import type { CudnnPlan, PlanContext } from '../../src/engine/cuda/cudnn/plan.js';
import { PlanCache } from '../../src/engine/cuda/cudnn/plan_cache.js';
import { CubinCache } from '../../src/engine/cuda/device/cubin_cache.js';
import { loadLibrary } from '../../src/util/native/load_library.js';
import { CUDA_DEVICES, type CudaDeviceName, cudnnDescription } from './cuda_devices.js';

export interface PlansTask {
  readonly driver: string;
  readonly cudnn: string;
  readonly device: CudaDeviceName;
  readonly isDeterministic: boolean;
  readonly allowsTf32: boolean;
  readonly cache?: string;
  readonly attention: readonly AttentionShape[];
  readonly convolutions: readonly ConvolutionShape[];
}

/** What is written of a plan. */
export interface PlanReport {
  readonly what: string;
  /** False if cuDNN has none. */
  readonly exists: boolean;
  readonly milliseconds: number;
  readonly workspaceBytes: number;
  readonly isDeterministic: boolean;
  readonly notes: readonly string[];
  readonly arguments: readonly string[];
  readonly reasons: readonly string[];
}

const task: PlansTask = JSON.parse(process.argv[2]);
loadLibrary(task.driver);
const cudnn = new Cudnn(task.cudnn);
const facts = CUDA_DEVICES[task.device];
const reasons: string[] = [];
const context: PlanContext = {
  cudnn,
  device: {
    name: facts.deviceName,
    computeCapability: [Math.floor(facts.deviceVer / 100), (facts.deviceVer % 100) / 10],
    target: { description: cudnnDescription(facts) },
  },
  isDeterministic: task.isDeterministic,
  allowsTf32: task.allowsTf32,
  cache: task.cache === undefined ? undefined : new PlanCache(new CubinCache(task.cache)),
  explain: (reason) => reasons.push(reason),
};

function report(what: string, build: () => CudnnPlan | null): void {
  reasons.length = 0;
  const start = performance.now();
  const plan = build();
  const written: PlanReport = {
    what,
    exists: plan !== null,
    milliseconds: Math.round(performance.now() - start),
    workspaceBytes: plan?.workspaceBytes ?? 0,
    isDeterministic: plan?.isDeterministic ?? false,
    notes: plan?.notes ?? [],
    arguments: plan?.arguments.map(({ name, offset }) => `${name}+${offset}`) ?? [],
    reasons: [...new Set(reasons)],
  };
  plan?.release();
  console.log(JSON.stringify(written));
}

for (const shape of task.attention) {
  const { B, N, H, D } = shape;
  report(`attention ${B}x${N}x${H}x${D}`, () => attentionForward(context, shape));
  report(`attention gradient ${B}x${N}x${H}x${D}`, () => attentionBackward(context, shape));
}
for (const shape of task.convolutions)
  for (const pass of ['forward', 'data', 'filter'] as const) {
    const { B, I, O, size, kernel, stride, type } = shape;
    const what = `${type} convolution ${pass} ${B}x${size.join('x')} ${I}→${O} ${kernel.join('x')}/${stride.join('x')}`;
    report(what, () => convolution(context, pass, shape));
  }
