/** @file A machine without a usable GPU gets the reason with a remedy that fits it. */
import { describe, expect, it } from 'vitest';
import { fakeVulkan, LLVMPIPE } from '../../../test/support/fake_gpus.js';
import { type FakeMachine, fakeProbe } from '../../../test/support/fake_probe.js';
import type { Probe } from '../probe.js';
import { problemText } from '../problem.js';
import { Gpus } from './gpus.js';
import { MetalSource } from './metal.js';
import type { MissingPart } from './source.js';

const REQUEST = { index: null, isRequired: false };
const KERNEL_MODULE = { '/proc/driver/nvidia/version': 'NVRM version' };
const MANIFEST = { '/usr/share/vulkan/icd.d/nvidia_icd.json': '' };
const NODE = { '/dev/dri/renderD128': '' };

/** Each problem as `what (remedy)`. */
function problems(missing: MissingPart, facts: FakeMachine & { writable?: boolean }): string {
  const probe: Probe = {
    ...fakeProbe(facts),
    run: (program, [flag, path]) =>
      program === 'test' && flag === '-w' && path === '/dev/dri/renderD128' && facts.writable ? '' : null,
  };
  const gpus = new Gpus(probe, { list: () => ({ devices: [], missing }), memory: () => null });
  expect(gpus.devices()).toEqual([]);
  return gpus.problems(REQUEST).map(problemText).join('\n');
}

describe('without a GPU', () => {
  it.each<[string, MissingPart, FakeMachine & { writable?: boolean }, RegExp]>([
    ['no loader', 'loader', {}, /^there is no Vulkan loader .*apt-get install libvulkan1/],
    ['no loader on Windows', 'loader', { platform: 'win32' }, /^there is no vulkan-1\.dll .*driver/],
    ['no driver', 'driver', {}, /^the Vulkan loader finds no GPU .*mesa-vulkan-drivers/],
    ['no driver on Windows', 'driver', { platform: 'win32' }, /finds no GPU .*driver from the GPU's vendor/],
    [
      'a container without graphics, and no loader',
      'loader',
      {
        files: { ...KERNEL_MODULE, '/.dockerenv': '' },
        env: { NVIDIA_DRIVER_CAPABILITIES: 'compute,utility' },
      },
      /^there is no Vulkan loader .*\n.*nvidia_icd\.json\) is not here .*-e NVIDIA_DRIVER_CAPABILITIES=all/,
    ],
    [
      'a container that has graphics, on a host that has not',
      'driver',
      { files: { ...KERNEL_MODULE, '/.dockerenv': '' }, env: { NVIDIA_DRIVER_CAPABILITIES: 'graphics' } },
      /nvidia_icd\.json\) is not here .*graphics part of the driver/,
    ],
    ['NVIDIA without graphics', 'driver', { files: KERNEL_MODULE }, /nvidia-vulkan-icd/],
    [
      'NVIDIA without libraries of X11',
      'driver',
      { files: { ...KERNEL_MODULE, ...MANIFEST } },
      /^NVIDIA's Vulkan driver is installed but does not start .*libxext6/,
    ],
    [
      'a user outside the group',
      'driver',
      { files: NODE },
      /^this user may not open \/dev\/dri\/renderD128 .*usermod -aG render,video/,
    ],
    ['a node that opens', 'driver', { files: NODE, writable: true }, /^the Vulkan loader finds no GPU/],
  ])('explains: %s', (_, missing, facts, expected) => {
    expect(problems(missing, facts)).toMatch(expected);
  });

  it('adds to a software GPU the reason why there is no other', () => {
    const probe = fakeProbe({ files: KERNEL_MODULE, env: { NVIDIA_VISIBLE_DEVICES: 'all' } });
    const gpus = new Gpus(probe, fakeVulkan([LLVMPIPE], {}));
    expect(gpus.problems(REQUEST).map(({ remedy }) => remedy)).toEqual([
      expect.stringContaining("install the GPU's driver"),
      'start the container with -e NVIDIA_DRIVER_CAPABILITIES=all',
    ]);
  });
});

describe('a Mac', () => {
  const mac = (gpus: string | null): Probe => ({
    ...fakeProbe({ platform: 'darwin', arch: 'arm64' }),
    run: (program) =>
      ({ system_profiler: gpus, sysctl: '17179869184\n', sw_vers: '15.5\n' })[program] ?? null,
  });

  it('has one GPU with the memory of the machine', () => {
    const probe = mac(
      '{"SPDisplaysDataType": [{"_name": "x", "sppci_model": "Apple M2", "sppci_cores": "8"}]}',
    );
    const { device, powerPreference } = new Gpus(probe).select(REQUEST);
    expect(powerPreference).toBe('high-performance');
    expect(device).toMatchObject({
      name: 'Apple M2',
      type: 'integrated',
      backend: 'Metal',
      driver: 'Metal of macOS 15.5',
      memoryBytes: 2 ** 34,
    });
    expect(new MetalSource(probe).memory()).toBeNull();
  });

  it.each([null, '{}', '{"SPDisplaysDataType": []}', 'no json'])('has none if its list is %j', (list) => {
    expect(new Gpus(mac(list)).problems(REQUEST)[0].what).toBe('system_profiler lists no GPU');
  });
});
