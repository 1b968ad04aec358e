/** @file How Python values of a checkpoint look in TypeScript. */
import type { HostTensor } from './host_tensor.js';

/** A number that must be a Python float even where it is whole (`1.0`); plain whole numbers become ints. */
export class PyFloat {
  constructor(readonly value: number) {}
}

/** A Python tuple; plain arrays are lists. */
export class PyTuple {
  constructor(readonly items: readonly PyValue[]) {}
}

/** An instance of a class that is never imported or executed, e.g. the official trainer's MemoryPool. */
export class PyOpaque {
  constructor(
    readonly className: string,
    readonly args: readonly PyValue[],
    readonly state: PyValue = null,
  ) {}
}

/**
 * Dicts are read as `Map`; for writing a plain object works as well (its keys become strings).
 * Reading gives plain numbers for ints and floats, and bigint for ints beyond 2^53.
 */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | HostTensor
  | PyFloat
  | PyTuple
  | PyOpaque
  | readonly PyValue[]
  | PyDict
  | { readonly [key: string]: PyValue };

export type PyDict = Map<PyValue, PyValue>;
