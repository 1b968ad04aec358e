/** @file Which settings of the time base leave the training data the same. */
import { expect, it } from 'vitest';
import { makeAvaFolder } from '../../../test/support/ava_folder.js';
import { crc32 } from '../../formats/checksum.js';
import { dataIdentity } from './data_identity.js';
import { createTrainLoader } from './loader.js';

async function identityOf(
  seconds: readonly number[],
  changes: Record<string, unknown> = {},
): Promise<number> {
  const ava = await makeAvaFolder({
    videos: { a: { frames: 8, width: 40, height: 24 } },
    annotations: seconds.map((second) => `a,${second},0.1,0.2,0.5,0.8,1,0`),
  });
  const loader = createTrainLoader(ava.config(changes), { seed: 0 });
  await loader.close();
  return dataIdentity(loader);
}

it('is that of earlier versions in the time base of AVA', async () => {
  expect(await identityOf([902, 903])).toBe(crc32(Buffer.from('2\na 902 0\na 903 0\n')));
});

it('is the same for seconds from 0 and from 900 that mean the same frames, and for other steps and ends', async () => {
  const before = await identityOf([902, 903.5]);
  expect(
    await identityOf([2, 3.5], { 'AVA.FIRST_SECOND': 0, 'AVA.LAST_SECOND': 9, 'AVA.KEY_FRAME_STEP': 0.5 }),
  ).toBe(before);
  expect(await identityOf([2, 3.5], { 'AVA.FIRST_SECOND': 1 })).not.toBe(before);
});
