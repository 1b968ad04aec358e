/** @file The cache of compiled kernels: damaged, full and read-only. */
import { mkdirSync, readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../../test/support/temporary_files.js';
import { CubinCache } from './cubin_cache.js';

const CUBIN = Uint8Array.from({ length: 1000 }, (_, i) => i);

describe('CubinCache', () => {
  it('returns what was written, also by another process', () => {
    const folder = join(temporaryFolder(), 'a', 'b');
    expect(new CubinCache(folder).read('k')).toBeNull();
    new CubinCache(folder).write('k', CUBIN);
    expect([...(new CubinCache(folder).read('k') ?? [])]).toEqual([...CUBIN]);
    expect(readdirSync(folder)).toEqual(['k.cubin']);
  });

  it('does not return a damaged file', () => {
    const folder = temporaryFolder();
    const cache = new CubinCache(folder);
    const path = join(folder, 'k.cubin');
    const damages: (() => void)[] = [
      () => truncateSync(path, 500),
      () => truncateSync(path, 3),
      () => truncateSync(path, 0),
      ...[0, 20, 60].map((place) => () => {
        const bytes = readFileSync(path);
        bytes[place] ^= 1;
        writeFileSync(path, bytes);
      }),
    ];
    for (const damage of damages) {
      cache.write('k', CUBIN);
      expect(cache.read('k')).not.toBeNull();
      damage();
      expect(cache.read('k')).toBeNull();
    }
  });

  it('removes what was not used for the longest time', () => {
    const folder = temporaryFolder();
    const cache = new CubinCache(folder, 3500);
    for (const [i, key] of ['a', 'b', 'c'].entries()) {
      cache.write(key, CUBIN);
      utimesSync(join(folder, `${key}.cubin`), 1000 + i, 1000 + i);
    }
    cache.read('a');
    cache.write('d', CUBIN);
    expect(readdirSync(folder).sort()).toEqual(['a.cubin', 'c.cubin', 'd.cubin']);
  });

  it('removes old files of interrupted writes, too', () => {
    const folder = temporaryFolder();
    const left = join(folder, 'x.cubin.1b9d');
    writeFileSync(left, Buffer.alloc(3000));
    utimesSync(left, 1, 1);
    new CubinCache(folder, 3500).write('a', CUBIN);
    expect(readdirSync(folder)).toEqual(['a.cubin']);
  });

  it('does without a folder that accepts no files', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    const cache = new CubinCache(join(folder, 'file', 'cuda'));
    cache.write('k', CUBIN);
    expect(cache.read('k')).toBeNull();
    mkdirSync(join(folder, 'k.cubin'));
    const other = new CubinCache(folder);
    other.write('k', CUBIN);
    expect(other.read('k')).toBeNull();
    expect(readdirSync(folder).sort()).toEqual(['file', 'k.cubin']);
  });
});
