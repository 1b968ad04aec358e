/** @file Python values of a checkpoint as TypeScript types. */
import type { HostTensor } from '../host_tensor.js';

/** A number that must be a Python float even if it is whole, e.g. `1.0`. Plain whole numbers become ints. */
export class PyFloat {
  constructor(readonly value: number) {}
}

/** A Python tuple; plain arrays are lists. */
export class PyTuple {
  constructor(readonly items: readonly PyValue[]) {}
}

/**
 * An instance of a class (or a function's result, or the class itself) that is never imported or executed, e.g. the
 * official trainer's MemoryPool. It only holds data of the file: the constructor's arguments, the attributes to set
 * (`state`), and the items of a subclass of list or dict (`contents`).
 */
export class PyOpaque {
  contents: PyValue[] | PyDict | null = null;

  constructor(
    readonly className: string,
    readonly args: readonly PyValue[],
    public state: PyValue = null,
  ) {}
}

/**
 * A value in a checkpoint. Dicts are read as `Map`. A plain object can be written too; its keys become strings.
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
