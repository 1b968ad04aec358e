/** @file Plans that the real cuDNN builds for GPUs that are not there. STMIXER_NVIDIA_WHEELS names a folder with its unpacked wheels. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { builtProgram } from '../../../../test/support/built.js';
import { CUDA_DEVICES, type CudaDeviceName } from '../../../../test/support/cuda_devices.js';
import type { PlanReport, PlansTask } from '../../../../test/support/cudnn_plans_process.js';
import { buildDriverStub } from '../../../../test/support/driver_stub.js';
import { wheelsFolder } from '../../../../test/support/nvidia_wheels.js';
import { temporaryFolder, temporaryFolderOfFile } from '../../../../test/support/temporary_files.js';
import * as constants from '../api/cudnn_constants.js';
import { CubinCache } from '../device/cubin_cache.js';
import type { AttentionShape } from './attention.js';
import type { ConvolutionShape } from './convolution.js';

const FOLDER = join(wheelsFolder ?? '', 'nvidia', 'cudnn');
const DEVICES = Object.keys(CUDA_DEVICES) as CudaDeviceName[];

/** If set, the plans are listed. */
const LISTS = process.env.STMIXER_LIST_PLANS;

const run = promisify(execFile);

/** ViT-B on 16 frames of 256×352. */
const VIT_B: AttentionShape = { B: 1, N: 2816, H: 12, D: 64, scale: 0.125 };
const ATTENTION: readonly AttentionShape[] = [
  VIT_B,
  // A batch of 320×448, the larger training size.
  { ...VIT_B, B: 8, N: 4480 },
  // ViT-L on test clips of 256×480.
  { ...VIT_B, B: 16, N: 3840, H: 16 },
  // config_files/sample.yaml and tiny.yaml.
  { ...VIT_B, B: 2, N: 1120, H: 3 },
  { B: 2, N: 8, H: 2, D: 16, scale: 0.25 },
];

const NECK: ConvolutionShape = {
  B: 1,
  I: 256,
  O: 256,
  size: [8, 64, 88],
  kernel: [3, 3, 3],
  stride: [1, 1, 1],
  padding: [1, 1, 1],
  type: 'bfloat16',
};
/** Kernels of ResNets; those of 1×1×1 with stride 1 are products. */
const STEM = { kernel: [1, 7, 7], stride: [1, 2, 2], padding: [0, 3, 3] } as const;
const SPATIAL = { kernel: [1, 3, 3], padding: [0, 1, 1] } as const;
const TEMPORAL = { kernel: [3, 1, 1], padding: [1, 0, 0] } as const;
const HALF = { stride: [1, 2, 2] } as const;
const SHORTCUT = { kernel: [1, 1, 1], padding: [0, 0, 0], ...HALF } as const;
const TO_SLOW = { kernel: [7, 1, 1], padding: [3, 0, 0], stride: [4, 1, 1] } as const;
/**
 * Clips of 256×320 in SlowFast-R50: 8 slow frames and 32 fast ones. Those of SlowOnly-R50 differ in the number of frames. The three
 * channels of the video are padded to eight.
 */
const SLOW: ConvolutionShape = { ...NECK, B: 2, size: [8, 64, 80] };
const FAST: ConvolutionShape = { ...SLOW, size: [32, 64, 80] };
const RESNET: readonly ConvolutionShape[] = [
  { ...SLOW, ...STEM, B: 16, I: 8, O: 64, size: [8, 256, 320] },
  { ...SLOW, ...SPATIAL, I: 64, O: 64 },
  { ...SLOW, ...SPATIAL, ...HALF, I: 128, O: 128 },
  { ...SLOW, ...SHORTCUT, I: 320, O: 512 },
  { ...SLOW, ...TEMPORAL, I: 640, O: 256, size: [8, 32, 40] },
  { ...SLOW, ...TEMPORAL, I: 1024, O: 256, size: [8, 16, 20] },
  { ...SLOW, ...TEMPORAL, I: 2048, O: 512, size: [8, 8, 10] },
  { ...SLOW, ...SPATIAL, I: 512, O: 512, size: [8, 8, 10] },
  { ...FAST, ...STEM, B: 16, kernel: [5, 7, 7], padding: [2, 3, 3], I: 8, O: 8, size: [32, 256, 320] },
  { ...FAST, ...TEMPORAL, I: 8, O: 8 },
  { ...FAST, ...SPATIAL, I: 8, O: 8 },
  { ...FAST, ...SHORTCUT, I: 32, O: 64 },
  { ...FAST, ...TEMPORAL, I: 256, O: 64, size: [32, 8, 10] },
  { ...FAST, ...TO_SLOW, I: 8, O: 16 },
  { ...FAST, ...TO_SLOW, I: 64, O: 128, size: [32, 32, 40] },
];
/** The neck's levels, and layers of three-dimensional ResNets. */
const CONVOLUTIONS: readonly ConvolutionShape[] = [
  NECK,
  { ...NECK, size: [8, 32, 44] },
  { ...NECK, size: [8, 16, 22] },
  { ...NECK, size: [8, 8, 11] },
  { ...NECK, B: 8, size: [8, 80, 112] },
  { ...NECK, I: 64, O: 64, B: 2, size: [8, 40, 56] },
  { ...NECK, I: 32, O: 32, B: 2, size: [2, 2, 2] },
  { ...NECK, I: 8, O: 64, size: [16, 256, 352], kernel: [5, 7, 7], stride: [1, 2, 2], padding: [2, 3, 3] },
  { ...NECK, I: 128, O: 128, kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  { ...NECK, O: 64, kernel: [3, 1, 1], padding: [1, 0, 0] },
  { ...NECK, O: 512, kernel: [1, 1, 1], stride: [1, 2, 2], padding: [0, 0, 0] },
  ...RESNET,
];
const inFloat32 = CONVOLUTIONS.map((shape): ConvolutionShape => ({ ...shape, type: 'float32' }));

describe.runIf(wheelsFolder)('plans of the real cuDNN', { timeout: 180_000 }, () => {
  let driver: string;
  beforeAll(() => {
    driver = buildDriverStub(join(FOLDER, 'lib'), temporaryFolderOfFile());
  });

  async function plansOf(task: Partial<PlansTask>): Promise<PlanReport[]> {
    const whole: PlansTask = {
      driver,
      cudnn: join(FOLDER, 'lib', 'libcudnn.so.9'),
      device: 'H100',
      isDeterministic: false,
      allowsTf32: false,
      attention: [],
      convolutions: [],
      ...task,
    };
    const { stdout } = await run(process.execPath, [
      builtProgram('cudnn_plans_process'),
      JSON.stringify(whole),
    ]);
    const reports = stdout
      .trim()
      .split('\n')
      .map((line): PlanReport => JSON.parse(line));
    if (LISTS) console.log(listOf(whole, reports));
    return reports;
  }

  it('knows the numbers of the header', () => {
    const header = readFileSync(join(FOLDER, 'include', 'cudnn_graph.h'), 'utf8');
    const numbers = new Map(
      [...header.matchAll(/^\s*(CUDNN_\w+)(?: CUDNN_DEPRECATED_ENUM)?\s*=\s*(\d+)/gm)].map(
        ([, name, value]) => [name, Number(value)],
      ),
    );
    const expectNumbers = (table: Readonly<Record<string, number>>, nameOf: (name: string) => string) => {
      const expected = Object.keys(table).map((name) => [name, numbers.get(nameOf(name))]);
      expect(Object.entries(table)).toEqual(expected);
    };
    expectNumbers(constants.DESCRIPTOR, (name) => `CUDNN_BACKEND_${name}_DESCRIPTOR`);
    expectNumbers(constants.ATTRIBUTE, (name) => `CUDNN_ATTR_${name}`);
    expectNumbers(constants.ATTRIBUTE_TYPE, (name) => `CUDNN_TYPE_${name}`);
    expectNumbers(constants.DATA_TYPE, (name) => `CUDNN_DATA_${name}`);
    expectNumbers(constants.POINTWISE, (name) => `CUDNN_POINTWISE_${name}`);
    expectNumbers(constants.HEURISTICS, (name) => `CUDNN_HEUR_MODE_${name}`);
    expectNumbers(constants.NUMERICAL_NOTE, (name) => `CUDNN_NUMERICAL_NOTE_${name}`);
    expect(numbers.get('CUDNN_REDUCE_TENSOR_ADD')).toBe(constants.REDUCE_ADD);
  });

  it.each(DEVICES)('exist for attention and convolutions in bfloat16 on %s', async (device) => {
    const reports = await plansOf({ device, attention: ATTENTION, convolutions: CONVOLUTIONS });
    expect(reports.filter(({ exists }) => !exists)).toEqual([]);
    expect(reports).toHaveLength(2 * ATTENTION.length + 3 * CONVOLUTIONS.length);
    expect(reports.filter(({ notes }) => !notes.includes('TENSOR_CORE'))).toEqual([]);
    const isDeterministic = (words: string) =>
      reports.filter(({ what }) => what.startsWith(words)).map((report) => report.isDeterministic);
    expect(new Set(isDeterministic('attention gradient'))).toEqual(new Set([false]));
  });

  it.each(DEVICES)('are deterministic if that is asked on %s', async (device) => {
    const attention = [VIT_B, ATTENTION[4]];
    const convolutions = [...CONVOLUTIONS, ...inFloat32];
    const reports = await plansOf({ device, attention, convolutions, isDeterministic: true });
    expect(reports.filter(({ exists, isDeterministic }) => !exists || !isDeterministic)).toEqual([]);
    const { workspaceBytes } = reports[1];
    expect(workspaceBytes).toBeGreaterThanOrEqual(VIT_B.H * VIT_B.N ** 2 * 2);
  });

  it.each(DEVICES)('round float32 to TF32 on %s only if that is allowed', async (device) => {
    const convolutions = inFloat32.slice(0, 7);
    const usesTensorCores = async (allowsTf32: boolean) => {
      const reports = await plansOf({ device, convolutions, allowsTf32 });
      expect(reports.filter(({ exists }) => !exists)).toEqual([]);
      return reports.map(({ notes }) => notes.includes('TENSOR_CORE'));
    };
    expect(await usesTensorCores(false)).not.toContain(true);
    expect(await usesTensorCores(true)).toContain(true);
  });

  it('are kept from one process to the next', async () => {
    const cache = temporaryFolder();
    const task = { cache, attention: [VIT_B], convolutions: [NECK] };
    const built = await plansOf(task);
    const files = readdirSync(cache);
    expect(files).toHaveLength(5);
    const facts = (reports: readonly PlanReport[]) => reports.map(({ milliseconds, ...rest }) => rest);

    const contents = files.map((file) => readFileSync(join(cache, file), 'utf8'));
    expect(facts(await plansOf(task))).toEqual(facts(built));
    expect(files.map((file) => readFileSync(join(cache, file), 'utf8'))).toEqual(contents);
  });

  it('are built anew if those in the cache are refused', async () => {
    const cache = temporaryFolder();
    const task = { cache, attention: [VIT_B] };
    const built = await plansOf(task);
    const files = new CubinCache(cache);
    for (const file of readdirSync(cache)) {
      const name = file.replace(/\.\w+$/, '');
      const entry = JSON.parse(new TextDecoder().decode(files.read(name)!));
      files.write(name, new TextEncoder().encode(JSON.stringify({ ...entry, plan: '{}' })));
    }
    const again = await plansOf(task);
    expect(again.map(({ exists, workspaceBytes }) => ({ exists, workspaceBytes }))).toEqual(
      built.map(({ exists, workspaceBytes }) => ({ exists, workspaceBytes })),
    );
    const refusal = [expect.stringMatching(/^cudnnBackend\w+ failed: .+\(CUDNN_STATUS_\w+, \d+\)/s)];
    expect(again.map(({ reasons }) => reasons)).toEqual([refusal, refusal]);
  });
});

function listOf({ device, isDeterministic, allowsTf32 }: PlansTask, reports: readonly PlanReport[]): string {
  const lines = reports.map(
    ({ what, milliseconds, workspaceBytes, isDeterministic, notes }) =>
      `${what}: ${milliseconds} ms, workspace ${workspaceBytes}, ${isDeterministic ? 'deterministic' : 'not deterministic'}, ${notes.join(' ')}`,
  );
  return [`${device}, deterministic ${isDeterministic}, TF32 ${allowsTf32}`, ...lines].join('\n');
}
