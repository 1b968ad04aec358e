/** @file The GPU of a Mac, where Dawn uses Metal and there is no Vulkan. This has not run on a Mac so far. */
import { isObject, parseObject, stringOr } from '../../util/json.js';
import type { Probe } from '../probe.js';
import type { GpuListing, GpuSource } from './source.js';

export class MetalSource implements GpuSource {
  constructor(private readonly probe: Probe) {}

  list(): GpuListing {
    const output = this.probe.run('system_profiler', ['SPDisplaysDataType', '-json']) ?? '';
    const gpus = parseObject(output)?.SPDisplaysDataType;
    const gpu = Array.isArray(gpus) ? gpus.find(isObject) : undefined;
    if (!gpu) return { devices: [], missing: 'driver' };
    const system = this.probe.run('sw_vers', ['-productVersion'])?.trim();
    const device = {
      index: 0,
      name: stringOr(gpu.sppci_model, 'GPU of this Mac'),
      vendorId: 0x106b,
      deviceId: 0,
      type: 'integrated',
      driver: `Metal of macOS ${system ?? ''}`.trim(),
      backend: 'Metal',
      vulkanVersion: null,
      uuid: null,
      pciAddress: null,
      memoryBytes: Number(this.probe.run('sysctl', ['-n', 'hw.memsize']) ?? 0),
      limits: null,
      missingFeatures: [],
    } as const;
    return { devices: [device], missing: null };
  }

  memory(): null {
    return null;
  }
}
