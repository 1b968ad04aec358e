/** @file Windows of maps [B, T, H, W, C], as the native library takes them. */
import { countWindows, type Windows } from '../../kernel_contract.js';

/** What the operators read first: the shape of the map, its windows, and how many there are along each axis. */
export function windowInts(shape: readonly number[], windows: Windows): number[] {
  const { kernel, stride, padding } = windows;
  return [...shape, ...kernel, ...stride, ...padding, ...countWindows(shape, windows)];
}
