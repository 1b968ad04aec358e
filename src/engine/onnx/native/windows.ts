/** @file Windows of maps [B, T, H, W, C], which convolutions and pooling read, as the native library takes them. */
import type { Size3 } from '../../kernel_contract.js';

/** The place of windows along the axes T, H, W. */
export interface WindowAttributes {
  readonly kernel: Size3;
  readonly stride: Size3;
  readonly padding: Size3;
}

/** Number of windows along each axis. */
export function countWindows(
  [, ...extents]: readonly number[],
  { kernel, stride, padding }: WindowAttributes,
): number[] {
  return kernel.map(
    (size, axis) => Math.floor((extents[axis] + 2 * padding[axis] - size) / stride[axis]) + 1,
  );
}

/** What the operators read first: the shape of the map, its windows, and how many there are along each axis. */
export function windowInts(shape: readonly number[], windows: WindowAttributes): number[] {
  const { kernel, stride, padding } = windows;
  return [...shape, ...kernel, ...stride, ...padding, ...countWindows(shape, windows)];
}
