/** @file Which refusals of a disk are worth another try. */
import { expect, it, vi } from 'vitest';
import { CheckpointError } from '../errors.js';
import { retry } from './retry.js';

/** Work that fails once with an error of the system, and would then succeed. */
function failingOnce(code: string) {
  const cause = Object.assign(new Error(code), { code });
  return vi
    .fn<() => Promise<string>>()
    .mockRejectedValueOnce(new CheckpointError('refused', { cause }))
    .mockResolvedValue('done');
}

it.each(['ENOSPC', 'EIO', 'ESTALE', 'ENOENT'])('tries again after %s, which may pass', async (code) => {
  const work = failingOnce(code);
  expect(await retry(work, 5, () => {})).toBe('done');
  expect(work).toHaveBeenCalledTimes(2);
});

it.each(['EISDIR', 'ENOTDIR', 'ENAMETOOLONG'])(
  'fails at once after %s, which does not pass',
  async (code) => {
    const work = failingOnce(code);
    await expect(retry(work, 600, () => {})).rejects.toThrow('refused');
    expect(work).toHaveBeenCalledTimes(1);
  },
);
