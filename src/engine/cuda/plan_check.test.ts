/** @file Plans of cuDNN on the stand-in: attention and convolutions, compared with the engine's own kernels. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openStandIn } from '../../../test/cuda_on_cpu/device.js';
import { canBuildCudaOnCpu, loadCudaOnCpu } from '../../../test/cuda_on_cpu/index.js';
import { FORWARD } from '../../../test/golden/golden.js';
import {
  type ConvolutionCase,
  compareAttention,
  compareConvolution,
  type PlanComparison,
} from '../../../test/support/plan_check.js';
import { temporaryFolder, temporaryFolderOfFile } from '../../../test/support/temporary_files.js';
import type { CudaSettings } from './compiler.js';
import type { AttentionShape } from './cudnn/attention.js';
import { CudnnPlans } from './cudnn/plans.js';
import type { CudaDevice } from './device/device.js';

/** Some units of bfloat16. */
const BFLOAT16_ERROR = 0.02;
const ATTENTION = ['attention', 'attention-gradient'];
const PASSES = ['forward', 'data', 'filter'];

const BFLOAT16: CudaSettings = { precision: 'bfloat16', isDeterministic: true };
/** Products of any size are in bfloat16. */
const WIDE_BFLOAT16: CudaSettings = {
  ...BFLOAT16,
  bfloat16Sizes: { minMultiplyAdds: 1, minElements: 1 },
};
/** Large enough for bfloat16; neither tokens nor clips are a multiple of a kernel's tile. */
const SHAPE: AttentionShape = { B: 3, N: 261, H: 2, D: 32, scale: 0.2 };
const MAP = { map: [2, 3, 5, 7, 24], O: 32 };
/** Of layers of ResNets; three channels are padded. */
const GEOMETRIES: readonly ConvolutionCase[] = [
  { map: [1, 3, 11, 14, 3], O: 8, kernel: [1, 7, 7], stride: [1, 2, 2], padding: [0, 3, 3] },
  { map: [2, 2, 7, 6, 8], O: 16, kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  { map: [1, 5, 3, 4, 12], O: 8, kernel: [3, 1, 1], padding: [1, 0, 0] },
  { map: [2, 8, 3, 2, 8], O: 16, kernel: [7, 1, 1], stride: [4, 1, 1], padding: [3, 0, 0] },
  { map: [2, 2, 5, 6, 8], O: 4, kernel: [1, 1, 1], stride: [1, 2, 2], padding: [0, 0, 0] },
];
const SMALL_MAP = { map: [2, 3, 5, 4, 5], O: 6 };

describe.runIf(canBuildCudaOnCpu())('plans of cuDNN on the stand-in', () => {
  const standIn = canBuildCudaOnCpu() ? loadCudaOnCpu() : null!;
  const cache = canBuildCudaOnCpu() ? temporaryFolderOfFile() : '';
  let devices: CudaDevice[] = [];

  beforeEach(() => {
    for (const name of Object.keys(process.env))
      if (name.startsWith('CUDA_ON_CPU_')) delete process.env[name];
    standIn.reset();
    devices = [];
  });
  afterEach(() => {
    vi.restoreAllMocks();
    for (const device of devices) device.dispose();
    expect(standIn.counters().leakedAllocations).toBe(0);
  });

  function open(folder = cache): CudaDevice {
    const device = openStandIn(standIn.folder, folder);
    devices.push(device);
    return device;
  }

  function expectClose({ planned, differences }: PlanComparison, plans: readonly string[], bound: number) {
    expect(planned).toEqual(plans);
    for (const [name, difference] of Object.entries(differences))
      expect(difference, name).toBeLessThan(bound);
  }

  it.each([true, false])('compute attention and its gradient, deterministic: %s', (isDeterministic) => {
    const comparison = compareAttention(open(), { ...BFLOAT16, isDeterministic }, SHAPE);
    expectClose(comparison, ATTENTION, BFLOAT16_ERROR);
    expect(comparison.differences.statistics).toBeLessThan(1e-5);
    expect(comparison.differences.out).toBeGreaterThan(0);
    expect(standIn.counters().plans).toBe(2);
  });

  it('are not used for attention in float32, and for heads that cuDNN does not take', () => {
    const device = open();
    const settings: CudaSettings = { ...BFLOAT16, precision: 'float32' };
    expectClose(compareAttention(device, settings, { ...SHAPE, B: 1 }), [], FORWARD);
    expectClose(compareAttention(device, BFLOAT16, { ...SHAPE, B: 1, D: 36 }), [], FORWARD);
    expect(standIn.counters().plans).toBe(0);
  });

  it('compute the gradient of groups of clips if the workspace of all is too large', () => {
    const find = CudnnPlans.prototype.find;
    vi.spyOn(CudnnPlans.prototype, 'find').mockImplementation(function (this: CudnnPlans, request) {
      const isLarge = request.kind === 'attention-gradient' && request.shape.B > 2;
      return isLarge ? null : find.call(this, request);
    });
    const device = open();
    expectClose(
      compareAttention(device, BFLOAT16, SHAPE),
      [...ATTENTION, 'attention-gradient'],
      BFLOAT16_ERROR,
    );
    expect(standIn.counters().plans).toBe(3);
    // The statistics of the second clip would not begin at a multiple of 16 bytes.
    expectClose(
      compareAttention(device, BFLOAT16, { ...SHAPE, N: 263, H: 3 }),
      ['attention'],
      BFLOAT16_ERROR,
    );
  });

  it('compute convolutions and their gradients', () => {
    expectClose(compareConvolution(open(), BFLOAT16, MAP), PASSES, BFLOAT16_ERROR);
    expect(standIn.counters().plans).toBe(3);
  });

  it.each(GEOMETRIES)('compute convolutions with any kernel, stride and padding: %j', (geometry) => {
    expectClose(compareConvolution(open(), WIDE_BFLOAT16, geometry), PASSES, BFLOAT16_ERROR);
    expect(standIn.counters().plans).toBe(3);
  });

  it('leave kernels of one tap with stride 1 to products', () => {
    const pointwise = { ...MAP, kernel: [1, 1, 1], padding: [0, 0, 0] } as const;
    expectClose(compareConvolution(open(), BFLOAT16, pointwise), [], FORWARD);
  });

  it('compute convolutions of float32 in float32 unless TF32 is allowed', () => {
    const device = open();
    const compareIn = (precision: CudaSettings['precision']) =>
      compareConvolution(device, { precision, isDeterministic: true }, SMALL_MAP);
    expectClose(compareIn('float32'), PASSES, FORWARD);
    expect(standIn.counters().plans).toBe(3);
    expectClose(compareIn('tf32'), PASSES, 2e-3);
    expectClose(compareIn('bfloat16'), PASSES, FORWARD);
  });

  it('that are not deterministic are found only if that is allowed', () => {
    const plans = open().cudnn!;
    const [size, kernel, ones] = [
      [2, 3, 4],
      [3, 3, 3],
      [1, 1, 1],
    ] as const;
    const sizes = { B: 1, I: 8, O: 8, size, kernel, stride: ones, padding: ones };
    const shape = { ...sizes, type: 'bfloat16' } as const;
    const request = { kind: 'convolution', pass: 'filter', shape, allowsTf32: false } as const;
    const areDeterministic = [true, false].map((isDeterministic) => {
      const { plan } = plans.find({ ...request, isDeterministic })!;
      return (plan as { isDeterministic?: boolean }).isDeterministic;
    });
    expect(areDeterministic).toEqual([true, false]);
  });

  it.each([
    ['90500', []],
    ['90600', ['attention-gradient']],
    ['91300', ATTENTION],
  ])('of cuDNN %s compute %j', (version, plans) => {
    process.env.CUDA_ON_CPU_CUDNN = version;
    standIn.reset();
    expectClose(compareAttention(open(), BFLOAT16, { ...SHAPE, B: 1 }), plans, BFLOAT16_ERROR);
  });

  it('are missing if cuDNN does not support the GPU', () => {
    standIn.fail('cudnnCreate', 1, 1001);
    const device = open();
    expect(device.cudnn).toBeNull();
    expectClose(compareConvolution(device, BFLOAT16, SMALL_MAP), [], FORWARD);
  });

  it('are read from the cache by the next program, and only by one with the same version', () => {
    const folder = temporaryFolder();
    const run = () => {
      const device = open(folder);
      standIn.resetCounters();
      expectClose(compareConvolution(device, BFLOAT16, SMALL_MAP), PASSES, FORWARD);
      const files = readdirSync(join(folder, 'stmixer', 'cuda')).filter((name) => name.startsWith('cudnn-'));
      // Asked once for the workspace of a plan that was kept; else also for engines.
      return [files.length, standIn.callsOf('cudnnBackendGetAttribute') - 3];
    };
    const [built, asked] = run();
    expect([built, asked > 0]).toEqual([3, true]);
    expect(run()).toEqual([3, 0]);
    process.env.CUDA_ON_CPU_CUDNN = '92500';
    for (const device of devices.splice(0)) device.dispose();
    standIn.reset();
    expect(run()).toEqual([6, asked]);
  });
});
