/** @file What a GPU can reach at best, from its clocks and units. */
import type { DeviceInfo } from './device/device_info.js';
import { runningBackend } from './start.js';

/** Bytes per second, and floating-point operations per second of products; null where it is not known. */
export interface BestRates {
  readonly bandwidth: number | null;
  readonly float32: number | null;
  readonly tf32: number | null;
  readonly bfloat16: number | null;
}

/**
 * Multiply-adds per clock of a multiprocessor, by compute capability: of float32, and of bfloat16 on tensor cores without sparsity.
 * Some cards of 8.6, 8.9 and 12.0 add up in float32 at half of this rate. Products in tf32 have half the rate of bfloat16.
 */
const MULTIPLY_ADDS: Readonly<Record<string, readonly [float32: number, bfloat16: number]>> = {
  '7.5': [64, 0],
  '8.0': [64, 1024],
  '8.6': [128, 512],
  '8.7': [128, 512],
  '8.9': [128, 512],
  '9.0': [128, 2048],
  '10.0': [128, 4096],
  '10.3': [128, 4096],
  '12.0': [128, 512],
  '12.1': [128, 512],
};

/** Of the GPU that the cuda engine runs on; null if it does not run. */
export function runningBestRates(): BestRates | null {
  const running = runningBackend();
  return running && bestRates(running.device.info);
}

export function bestRates({
  computeCapability,
  multiprocessors,
  smClockKHz,
  memoryClockKHz,
  memoryBusBits,
}: DeviceInfo): BestRates {
  const [float32, bfloat16] = MULTIPLY_ADDS[computeCapability.join('.')] ?? [0, 0];
  const rate = (multiplyAdds: number) => positive(2 * multiplyAdds * multiprocessors * smClockKHz * 1000);
  return {
    // Two transfers in each clock.
    bandwidth: positive((2 * memoryClockKHz * 1000 * memoryBusBits) / 8),
    float32: rate(float32),
    tf32: rate(bfloat16 / 2),
    bfloat16: rate(bfloat16),
  };
}

function positive(rate: number): number | null {
  return rate > 0 ? rate : null;
}
