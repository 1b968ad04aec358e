/** @file The real NCCL, as far as it goes without a GPU. STMIXER_NVIDIA_WHEELS names a folder with its unpacked wheel. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ncclLibrary } from '../../../test/support/nvidia_wheels.js';
import { NcclError, NcclFunctions, versionText } from './functions.js';

describe.runIf(ncclLibrary)('the real NCCL', () => {
  const nccl = ncclLibrary === undefined ? null : new NcclFunctions(ncclLibrary);

  it('tells its version', () => {
    expect(versionText(nccl?.version() ?? 0)).toMatch(/^2\.\d+\.\d+$/);
  });

  it('makes ids that differ', () => {
    const [a, b] = [nccl?.uniqueId(), nccl?.uniqueId()];
    expect(a).toHaveLength(128);
    expect(a).not.toEqual(b);
  });

  it.skipIf(existsSync('/proc/driver/nvidia'))('says why it connects nothing without a GPU', () => {
    const join = () => nccl?.join(nccl.uniqueId(), 0, 1);
    expect(join).toThrow(NcclError);
    expect(join).toThrow(/^NCCL: ncclCommInitRankConfig failed: unhandled cuda error .*: Cuda failure/);
  });
});

it('writes versions as NCCL does', () => {
  expect(versionText(23007)).toBe('2.30.7');
  expect(versionText(21405)).toBe('2.14.5');
});
