/** @file The Vulkan loader of this machine lists Mesa's software driver lavapipe, if it is installed. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { machineProbe } from '../probe.js';
import { isSameGpu } from './device.js';
import { Gpus } from './gpus.js';
import { driverManifests } from './missing_gpu.js';
import { VulkanSource } from './vulkan.js';

const probe = machineProbe();
const lavapipe = driverManifests(probe).find((path) => /lvp/.test(path));
const hasLoader = process.platform === 'linux' && new VulkanSource('linux').list().missing !== 'loader';
const VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'];

describe.runIf(hasLoader && lavapipe)('lavapipe', () => {
  const before = VARIABLES.map((name) => process.env[name]);
  const useDrivers = (...paths: string[]) => {
    for (const name of VARIABLES) process.env[name] = paths.join(':');
  };
  beforeEach(() => useDrivers(lavapipe!));
  afterEach(() => {
    for (const [i, name] of VARIABLES.entries())
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
  });

  it('is listed as a software GPU with its driver and its limits', () => {
    const { devices, missing } = new VulkanSource('linux').list();
    expect(missing).toBeNull();
    expect(devices).toHaveLength(1);
    const [{ limits, ...device }] = devices;
    expect(device).toMatchObject({
      index: 0,
      name: expect.stringContaining('llvmpipe'),
      type: 'software',
      vendorId: 0x10005,
      backend: 'Vulkan',
      driver: expect.stringMatching(/^llvmpipe Mesa \d+\.\d+/),
      vulkanVersion: expect.stringMatching(/^1\.\d+\.\d+$/),
      uuid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      pciAddress: null,
    });
    expect(device.memoryBytes).toBeGreaterThan(2 ** 28);
    // The least that Vulkan and WebGPU allow.
    expect(limits?.maxStorageBufferRange).toBeGreaterThanOrEqual(2 ** 27);
    expect(limits?.maxMemoryAllocationSize).toBeGreaterThanOrEqual(2 ** 30);
  });

  it('follows a change of the environment at the next list', () => {
    const source = new VulkanSource('linux');
    const first = source.list().devices[0];
    useDrivers('/there/is/none.json');
    expect(source.list()).toEqual({ devices: [], missing: 'driver' });
    expect(source.memory(first)).toBeNull();
    const copy = join(temporaryFolder(), 'copy.json');
    copyFileSync(lavapipe!, copy);
    useDrivers(lavapipe!, copy);
    const { devices } = source.list();
    expect(devices.map(({ index }) => index)).toEqual([0, 1]);
    expect(isSameGpu(devices[0], first)).toBe(true);
  });

  it('reports the memory in use', () => {
    const source = new VulkanSource('linux');
    // Old versions of Mesa do not report it.
    const use = source.memory(source.list().devices[0]) ?? { budgetBytes: 2 ** 29, usedBytes: 1 };
    expect(use.budgetBytes).toBeGreaterThan(2 ** 28);
    expect(use.usedBytes).toBeGreaterThan(0);
  });

  it('is selected by its name, with the environment unchanged', () => {
    const env: NodeJS.ProcessEnv = { ...process.env, STMIXER_GPU: 'llvmpipe' };
    const gpus = new Gpus({ ...probe, env });
    const refused = gpus.devices()[0].missingFeatures.length > 0;
    const wanted = { index: null, isRequired: false };
    if (refused) expect(() => gpus.select(wanted)).toThrow('install a newer Mesa');
    else expect(gpus.select(wanted).device.type).toBe('software');
    expect(env.VK_DRIVER_FILES).toBe(lavapipe);
  });
});
