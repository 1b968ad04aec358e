/** @file Structures filled as the drivers of a graphics card fill them are read at the right places. */
import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import {
  chain,
  EXTENSION_SIZE,
  extensionNames,
  FEATURES_SIZE,
  MEMORY,
  PROPERTIES,
  readDevice,
  readMemoryUse,
} from './vulkan_structures.js';

const GIB = 2 ** 30;

/** Writes 32-bit numbers, 64-bit numbers (bigint) and texts at their offsets. */
function fill(target: Buffer, values: Record<number, number | bigint | string>): void {
  for (const [offset, value] of Object.entries(values))
    if (typeof value === 'string') target.write(`${value}\0garbage`, Number(offset));
    else if (typeof value === 'bigint') target.writeBigUInt64LE(value, Number(offset));
    else target.writeUInt32LE(value, Number(offset));
}

/** A card with 24 GiB, of which a window of 256 MiB is a heap of its own, between them the memory of the processor. */
function card() {
  const properties = chain(PROPERTIES);
  const [own, driver, id, maintenance3, maintenance4, pci] = properties;
  fill(own, { 16: (1 << 22) | (3 << 12) | 277, 20: 0x89ab, 24: 0x10de, 28: 0x2684, 32: 2, 36: 'RTX 4090' });
  fill(own, { [312 + 28]: 2 ** 32 - 1 });
  fill(driver, { 20: 'NVIDIA', 276: '550.54.15' });
  fill(id, { 16: 0x33221100, 20: 0x77665544, 24: 0xbbaa9988, 28: 0xffeeddcc });
  fill(maintenance3, { 24: 4293918720n });
  fill(maintenance4, { 16: 1n << 40n });
  fill(pci, { 16: 1, 20: 0x41, 24: 0, 28: 2 });
  const memory = chain(MEMORY);
  fill(memory[0], { 276: 3, 280: BigInt(24 * GIB), 288: 1, 296: BigInt(64 * GIB), 304: 0 });
  fill(memory[0], { 312: BigInt(GIB / 4), 320: 1 });
  fill(memory[1], {
    16: BigInt(20 * GIB),
    24: 99n,
    32: BigInt(GIB / 8),
    144: BigInt(GIB),
    152: 99n,
    160: 7n,
  });
  return { properties, memory, features: Buffer.alloc(FEATURES_SIZE, Uint8Array.of(1, 0, 0, 0)) };
}

describe('the description of a card', () => {
  it('is read from the structures of Vulkan', () => {
    const { properties, memory, features } = card();
    const device = readDevice(properties, memory, features, new Set(['VK_EXT_pci_bus_info']));
    expect(device).toEqual({
      name: 'RTX 4090',
      vendorId: 0x10de,
      deviceId: 0x2684,
      type: 'discrete',
      driver: 'NVIDIA 550.54.15',
      vulkanVersion: '1.3.277',
      uuid: '00112233-4455-6677-8899-aabbccddeeff',
      pciAddress: '0001:41:00.2',
      memoryBytes: 24.25 * GIB,
      limits: {
        maxStorageBufferRange: 2 ** 32 - 1,
        maxMemoryAllocationSize: 4293918720,
        maxBufferSize: 2 ** 40,
      },
      missingFeatures: [],
    });
    expect(readMemoryUse(memory)).toEqual({ budgetBytes: 20.125 * GIB, usedBytes: GIB + 7 });
  });

  it('leaves out what an old driver does not fill', () => {
    const { properties, memory, features } = card();
    for (const part of [properties[1], properties[4]]) part.fill(0, 16);
    const device = readDevice(properties, memory, features, new Set());
    expect(device).toMatchObject({ driver: '0.8.2475', pciAddress: null, limits: { maxBufferSize: null } });
  });

  it('takes a GPU with the name of a software GPU for one', () => {
    const { properties, memory, features } = card();
    fill(properties[0], { 36: 'SwiftShader Device (Subzero)' });
    expect(readDevice(properties, memory, features, new Set()).type).toBe('software');
  });

  it.each([
    [
      [33, 36],
      ['shaderUniformBufferArrayDynamicIndexing', 'shaderStorageImageArrayDynamicIndexing'],
    ],
    [[22], []],
    [[21], []],
    [[20, 22], ['textureCompressionBC']],
    [[5, 39], []],
  ])('names the required features among those that are off: %j', (off, names) => {
    const { properties, memory, features } = card();
    for (const position of off) features.writeUInt32LE(0, 4 * position);
    expect(readDevice(properties, memory, features, new Set()).missingFeatures).toEqual(names);
  });
});

it('a chain of structures has their types, and each points to the next', () => {
  const parts = chain(PROPERTIES);
  for (const [i, part] of parts.entries()) {
    expect(part.readUInt32LE()).toBe(PROPERTIES[i].type);
    expect(part.length).toBe(PROPERTIES[i].size);
    expect(part.readBigUInt64LE(8)).toBe(i + 1 < parts.length ? koffi.address(parts[i + 1]) : 0n);
  }
});

it('names of extensions end at their zero', () => {
  const array = Buffer.alloc(2 * EXTENSION_SIZE, 'x');
  fill(array, { 0: 'VK_EXT_memory_budget', [EXTENSION_SIZE]: 'VK_KHR_maintenance4' });
  expect(extensionNames(array)).toEqual(new Set(['VK_EXT_memory_budget', 'VK_KHR_maintenance4']));
});
