/** @file Typed access to the values of a checkpoint. A value of another type is a CheckpointError. */
import { CheckpointError } from '../../errors.js';
import { type HostTensor, isHostTensor, sameShape, toFloat32 } from '../host_tensor.js';
import { PyFloat, PyOpaque, PyTuple, type PyValue } from './values.js';

function kindOf(value: PyValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof PyOpaque) return `an object of class ${value.className}`;
  if (value instanceof PyFloat || typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (value instanceof PyTuple || Array.isArray(value)) return 'a list';
  if (value instanceof Uint8Array) return 'bytes';
  if (isHostTensor(value)) return `a ${value.dtype} tensor of shape [${value.shape}]`;
  if (typeof value === 'string') return `"${value}"`;
  return typeof value === 'boolean' ? String(value) : 'a dictionary';
}

function unexpected(what: string, expected: string, value: PyValue | undefined): CheckpointError {
  return new CheckpointError(`the checkpoint's ${what}: expected ${expected}, found ${kindOf(value)}`);
}

/** The entries of a dictionary, which may be a Map or a plain object. */
export function asDict(value: PyValue | undefined, what: string): ReadonlyMap<PyValue, PyValue> {
  if (value instanceof Map) return value;
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    if (!isHostTensor(value)) return new Map(Object.entries(value));
  }
  throw unexpected(what, 'a dictionary', value);
}

/** The items of a list or tuple. */
export function asList(value: PyValue | undefined, what: string): readonly PyValue[] {
  if (value instanceof PyTuple) return value.items;
  if (Array.isArray(value)) return value;
  throw unexpected(what, 'a list', value);
}

/** A number, or a tensor without dimensions, as newer PyTorch versions save `step`. */
export function asNumber(value: PyValue | undefined, what: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof PyFloat) return value.value;
  if (isHostTensor(value) && value.shape.length === 0) return toFloat32(value)[0];
  throw unexpected(what, 'a number', value);
}

export function asNumbers(value: PyValue | undefined, what: string): number[] {
  return asList(value, what).map((item) => asNumber(item, what));
}

/** A whole number from 0. */
export function asCount(value: PyValue | undefined, what: string): number {
  const count = asNumber(value, what);
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new CheckpointError(`the checkpoint's ${what}: expected a whole number from 0, found ${count}`);
  }
  return count;
}

export function asBoolean(value: PyValue | undefined, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw unexpected(what, 'True or False', value);
}

export function asString(value: PyValue | undefined, what: string): string {
  if (typeof value === 'string') return value;
  throw unexpected(what, 'a string', value);
}

/** A tensor of exactly this shape. */
export function asTensor(value: PyValue | undefined, shape: readonly number[], what: string): HostTensor {
  if (isHostTensor(value) && sameShape(value.shape, shape)) return value;
  throw unexpected(what, `a tensor of shape [${shape}]`, value);
}
