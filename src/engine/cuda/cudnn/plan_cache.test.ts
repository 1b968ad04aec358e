/** @file The plans on disk. */
import { expect, it } from 'vitest';
import { PlanCache } from './plan_cache.js';

const PLAN = { plan: '{"engine": "π"}', notes: ['TENSOR_CORE'] };

it('returns what was written under the same key, and nothing under others', () => {
  const files = new Map<string, Uint8Array>();
  const cache = new PlanCache({
    read: (name) => files.get(name) ?? null,
    write: (name, content) => files.set(name, content),
  });
  cache.write('graph a', PLAN);
  expect(cache.read('graph a')).toEqual(PLAN);
  expect(cache.read('graph b')).toBeNull();
  // Another plan in the file of this one, as if two keys had the same name.
  const [name] = files.keys();
  cache.write('graph b', { ...PLAN, plan: 'another' });
  files.set(name, [...files.values()][1]);
  expect(cache.read('graph a')).toBeNull();
});
