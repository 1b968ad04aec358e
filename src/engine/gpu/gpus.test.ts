/** @file The right GPU is selected on every kind of machine, or the error says what to do. */
import { describe, expect, it } from 'vitest';
import { type FakeLoader, fakeGpu, fakeVulkan, LLVMPIPE } from '../../../test/support/fake_gpus.js';
import { type FakeMachine, fakeProbe } from '../../../test/support/fake_probe.js';
import { EngineError } from '../../errors.js';
import type { GpuRequest } from './choice.js';
import { bufferLimits, type GpuDevice } from './device.js';
import { Gpus } from './gpus.js';

const h100 = (bus: string, digit: string) =>
  fakeGpu({
    name: 'NVIDIA H100',
    pciAddress: `0000:${bus}:00.0`,
    uuid: `${digit.repeat(8)}-1111-2222-3333-444444444444`,
  });
const A = h100('1b', 'a');
const B = h100('43', 'b');
const INTEL = fakeGpu({
  name: 'Intel(R) Graphics (RPL-S)',
  vendorId: 0x8086,
  deviceId: 0xa780,
  type: 'integrated',
  driver: 'Intel open-source Mesa driver Mesa 25.0.7',
  pciAddress: '0000:00:02.0',
});
const RTX = fakeGpu({ name: 'NVIDIA RTX 4090', deviceId: 0x2684, pciAddress: '0000:01:00.0' });
const VENUS = fakeGpu({ name: 'Virtio-GPU Venus', vendorId: 0x1af4, type: 'virtual' });
const MANIFESTS = {
  '/usr/share/vulkan/icd.d/nvidia_icd.json': '',
  '/usr/share/vulkan/icd.d/intel_icd.json': '',
  '/usr/share/vulkan/icd.d/virtio_icd.json': '',
  '/usr/share/vulkan/icd.d/lvp_mesa_icd.json': '',
};

function machine(devices: GpuDevice[], facts: FakeMachine = {}, loader: FakeLoader = {}) {
  const probe = fakeProbe({ files: MANIFESTS, ...facts });
  return { env: probe.env, gpus: new Gpus(probe, fakeVulkan(devices, probe.env, loader)) };
}

const select = (gpus: Gpus, request: Partial<GpuRequest> = {}) =>
  gpus.select({ index: null, isRequired: false, ...request });

describe('without a request', () => {
  it.each([
    ['the first of two equal GPUs', [A, B], A],
    ['the discrete GPU of a laptop', [INTEL, RTX], RTX],
    ['the integrated GPU beside a software GPU', [LLVMPIPE, INTEL], INTEL],
  ])('takes %s and changes no variable', (_, devices, expected) => {
    const { gpus, env } = machine(devices);
    expect(select(gpus)).toEqual({
      device: { ...expected, index: 0 },
      powerPreference: 'high-performance',
    });
    expect(env).toEqual({});
  });

  it('hides the software GPU that Dawn would prefer to a virtual one', () => {
    const { gpus, env } = machine([LLVMPIPE, VENUS], {}, { select: true });
    expect(select(gpus).device.name).toBe(VENUS.name);
    expect(env).toEqual({
      VK_DRIVER_FILES: '/usr/share/vulkan/icd.d/virtio_icd.json',
      VK_ICD_FILENAMES: '/usr/share/vulkan/icd.d/virtio_icd.json',
    });
  });

  it('passes over a GPU that Dawn refuses', () => {
    const old = { ...RTX, vulkanVersion: '1.0.65' };
    expect(select(machine([old, INTEL]).gpus).device.name).toBe(INTEL.name);
  });

  it('takes one GPU for each of several processes', () => {
    const loader = { select: true, filter: true, layer: true };
    const chosen = [0, 1].map(
      (rank) => select(machine([INTEL, A, B], {}, loader).gpus, { local: { rank, size: 2 } }).device,
    );
    const alone = select(machine([INTEL, A, B]).gpus).device;
    expect(chosen[0]).toEqual(alone);
    expect(chosen[1].index).toBe(chosen[0].index + 1);
    const { gpus } = machine([A, B, LLVMPIPE]);
    expect(gpus.problems({ index: null, isRequired: true, local: { rank: 0, size: 3 } })).toEqual([
      {
        what: '3 processes run on this machine, which has 2 GPUs for them',
        remedy: expect.stringContaining('start 2 per machine'),
      },
    ]);
  });

  it('takes a software GPU only if a GPU is required and there is no other', () => {
    const { gpus } = machine([LLVMPIPE], { files: {} });
    expect(gpus.problems({ index: null, isRequired: false })).toEqual([
      {
        what: expect.stringContaining('only llvmpipe (LLVM 15.0.6, 256 bits), which computes on the proc'),
        remedy: expect.stringContaining('--device gpu'),
      },
    ]);
    expect(select(gpus, { isRequired: true }).device.name).toBe(LLVMPIPE.name);
  });
});

describe('a request', () => {
  const cases: [string, GpuDevice[], FakeMachine, Partial<GpuRequest>, string][] = [
    ['the number of ENGINE.GPU_INDEX', [A, B], {}, { index: 0 }, 'NVIDIA H100'],
    ['a number in STMIXER_GPU', [INTEL, RTX], { env: { STMIXER_GPU: '0' } }, { index: 1 }, RTX.name],
    ['a part of a name', [INTEL, RTX], { env: { STMIXER_GPU: 'rtx' } }, {}, RTX.name],
    ['the name of a software GPU', [LLVMPIPE], { env: { STMIXER_GPU: 'llvmpipe' } }, {}, LLVMPIPE.name],
  ];
  it.each(cases)('may be %s', (_, devices, facts, request, name) => {
    expect(select(machine(devices, facts).gpus, request).device.name).toBe(name);
  });

  it('counts GPUs in the order in which Dawn prefers them', () => {
    const { gpus } = machine([LLVMPIPE, INTEL, RTX]);
    expect(gpus.devices().map(({ index, name }) => [index, name])).toEqual([
      [0, RTX.name],
      [1, INTEL.name],
      [2, LLVMPIPE.name],
    ]);
  });

  it.each([
    [{ STMIXER_GPU: 'radeon' }, null, "STMIXER_GPU is 'radeon', but the GPUs here are 0 (NVIDIA RTX 4090)"],
    [{}, 4, 'ENGINE.GPU_INDEX is 4, but the GPUs here are 0 (NVIDIA RTX 4090)'],
  ])('that names no GPU is an error with the list of GPUs: %j %j', (env, index, message) => {
    expect(() => select(machine([RTX], { env }).gpus, { index })).toThrow(message);
  });

  it.each([
    ['textureless', { missingFeatures: ['robustBufferAccess'] }, 'lacks robustBufferAccess', "GPU's vendor"],
    ['old', { vulkanVersion: '1.0.61' }, 'offers only Vulkan 1.0.61', "GPU's vendor"],
    [
      'Mesa 22',
      {
        driver: 'llvmpipe Mesa 22.3.6',
        missingFeatures: [
          'shaderUniformBufferArrayDynamicIndexing',
          'shaderStorageBufferArrayDynamicIndexing',
        ],
      },
      'llvmpipe Mesa 22.3.6 of some GPU lacks shaderUniformBufferArrayDynamicIndexing, shaderStorage',
      'bookworm-backports mesa-vulkan-drivers',
    ],
  ])('for a GPU that Dawn refuses says what its driver lacks: %s', (_, facts, what, remedy) => {
    const { gpus } = machine([fakeGpu({ name: 'some GPU', ...facts })]);
    const problem = { what: expect.stringContaining(what), remedy: expect.stringContaining(remedy) };
    for (const index of [0, null]) expect(gpus.problems({ index, isRequired: true })).toEqual([problem]);
  });
});

describe('CUDA_VISIBLE_DEVICES', () => {
  it.each([
    ['1', B],
    ['1,0', B],
    ['GPU-bbbbbbbb-1111-2222-3333-444444444444', B],
    ['GPU-bbbb', B],
    ['0', A],
  ])('%s selects the GPU that nvidia-smi lists so', (value, expected) => {
    const { gpus } = machine([B, A], { env: { CUDA_VISIBLE_DEVICES: value } }, { layer: true });
    expect(select(gpus).device.pciAddress).toBe(expected.pciAddress);
  });

  it.each(['', '-1', '7', 'MIG-1234'])('%j hides NVIDIA GPUs and no others', (value) => {
    const facts = { env: { CUDA_VISIBLE_DEVICES: value } };
    expect(select(machine([RTX, INTEL], facts).gpus).device.name).toBe(INTEL.name);
    expect(() => select(machine([A], facts).gpus)).toThrow('which hides every GPU that Vulkan lists');
  });
});

describe('a GPU that Dawn would not take by itself', () => {
  const other = fakeGpu({ name: 'NVIDIA A100', deviceId: 0x20b0, pciAddress: '0000:81:00.0' });

  it('is reached by the power preference alone if it is the integrated one', () => {
    const { gpus, env } = machine([RTX, INTEL]);
    expect(select(gpus, { index: 1 })).toMatchObject({
      device: { name: INTEL.name },
      powerPreference: 'low-power',
    });
    expect(env).toEqual({});
  });

  const onlyA100 = { VK_LOADER_VENDOR_ID_FILTER: '4318', VK_LOADER_DEVICE_ID_FILTER: '8368' };
  it.each<[string, GpuDevice, FakeLoader, Record<string, string>]>([
    ['moves it to the front', other, { select: true }, { VK_LOADER_DEVICE_SELECT: '0x10de:0x20b0' }],
    ['hides other models', other, { filter: true }, onlyA100],
    [
      'hides a GPU of the same model',
      B,
      { select: true, filter: true, layer: true },
      { DRI_PRIME: 'pci-0000_43_00_0', MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE: '1' },
    ],
  ])('is reached by the variable that %s, and by no others', (_, wanted, loader, expected) => {
    const { gpus, env } = machine([A, wanted], {}, loader);
    expect(select(gpus, { index: 1 }).device).toEqual({ ...wanted, index: 1 });
    expect(env).toEqual(expected);
  });

  it('keeps its number after a selection has hidden the others', () => {
    const { gpus } = machine([A, B], {}, { layer: true });
    select(gpus, { index: 1 });
    expect(gpus.devices()).toHaveLength(2);
    expect(select(gpus, { index: 1 }).device.pciAddress).toBe(B.pciAddress);
  });

  it('is an error if no variable reaches it, and leaves the environment as it was', () => {
    const before = { DRI_PRIME: '1' };
    const { gpus, env } = machine([A, B], { env: before }, { select: true, filter: true });
    expect(() => select(gpus, { index: 1 })).toThrow(EngineError);
    expect(() => select(gpus, { index: 1 })).toThrow(
      'GPU 1 cannot be selected among 0 (NVIDIA H100), 1 (NVIDIA H100): install mesa-vulkan-drivers',
    );
    expect(env).toEqual(before);
  });

  it('is reached on Windows by the power preference or not at all', () => {
    const onWindows = [INTEL, RTX, other].map((gpu) => ({ ...gpu, backend: 'D3D12' as const }));
    const { gpus } = machine(onWindows, { platform: 'win32' }, { select: true });
    expect(select(gpus, { index: 2 }).powerPreference).toBe('low-power');
    expect(() => select(gpus, { index: 1 })).toThrow('choose the GPU for node.exe in Settings');
  });
});

describe('the limits of buffers', () => {
  const limits = A.limits!;
  it.each<[string, GpuDevice, number, number]>([
    ['keeps bindings on NVIDIA below 2 GiB', A, 2 ** 40, 2 ** 31 - 4],
    ['takes the range of other drivers in whole numbers', INTEL, 2 ** 40, 2 ** 32 - 4],
    [
      'takes the size of an allocation if the driver reports no size of buffers',
      { ...INTEL, limits: { ...limits, maxBufferSize: null, maxMemoryAllocationSize: 2 ** 30 } },
      2 ** 30,
      2 ** 30,
    ],
    ['are those of D3D12 on Windows', { ...A, backend: 'D3D12' }, 2 ** 31, 2 ** 31],
    [
      'stay below a quarter of the memory of a small Mac',
      { ...INTEL, backend: 'Metal', limits: null, memoryBytes: 4 * 2 ** 30 },
      2 ** 30,
      2 ** 30,
    ],
  ])('%s', (_, device, bufferBytes, bindingBytes) => {
    expect(bufferLimits(device)).toEqual({ bufferBytes, bindingBytes });
  });
});
