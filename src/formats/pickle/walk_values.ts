/** @file Searches the values of a checkpoint for tensors and inert objects. */
import { type HostTensor, isHostTensor } from '../host_tensor.js';
import { type PyDict, PyOpaque, PyTuple, type PyValue } from '../python/values.js';

/** Returns every tensor once, under its first path, e.g. `optimizer.state.0.exp_avg`. Does not search inert objects. */
export function namedTensors(value: PyValue): Map<string, HostTensor> {
  const named = new Map<string, HostTensor>();
  for (const [path, part] of parts(value)) if (isHostTensor(part)) named.set(path, part);
  return named;
}

/** Returns the first inert object in a value, or null. */
export function firstOpaque(value: PyValue): PyOpaque | null {
  for (const [, part] of parts(value)) if (part instanceof PyOpaque) return part;
  return null;
}

/** Yields a value and everything in it with their paths. Each object comes once, since there may be 2^100 paths to it. */
function* parts(value: PyValue, path = '', seen = new Set<object>()): Generator<[string, PyValue]> {
  if (typeof value === 'object' && value !== null) {
    if (seen.has(value)) return;
    seen.add(value);
  }
  yield [path, value];
  for (const [key, item] of childrenOf(value)) {
    yield* parts(item, path === '' ? keyText(key) : `${path}.${keyText(key)}`, seen);
  }
}

function childrenOf(value: PyValue): Iterable<[PyValue, PyValue]> {
  if (value instanceof Map) return value as PyDict;
  const items = value instanceof PyTuple ? value.items : value;
  return Array.isArray(items) ? (items as PyValue[]).entries() : [];
}

function keyText(key: PyValue): string {
  return typeof key === 'object' && key !== null ? '?' : String(key);
}
