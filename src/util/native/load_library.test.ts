/** @file Native libraries that load, and those that do not. */
import { expect, it } from 'vitest';
import { loadLibrary } from './load_library.js';

it('loads a library after one that cannot be loaded', () => {
  expect(() => loadLibrary('/none/libnone.so')).toThrow();
  expect(loadLibrary(null).func('getpid', 'int', [])()).toBe(process.pid);
});
