import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../../test/support/temporary_files.js';
import { PlanCache } from './plan_cache.js';

const PLAN = { plan: '{"engine": 7}', notes: ['TENSOR_CORE'] };

describe('PlanCache', () => {
  it('returns what was written under the same key', () => {
    const folder = join(temporaryFolder(), 'new', 'folder');
    new PlanCache(folder).write('graph a', PLAN);
    expect(new PlanCache(folder).read('graph a')).toEqual(PLAN);
    expect(new PlanCache(folder).read('graph b')).toBeNull();
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it.each([
    ['cut off', (text: string) => text.slice(0, -10)],
    ['changed', (text: string) => text.replace('7', '8')],
    ['of another key', (text: string) => text.replace('graph a', 'graph b')],
    ['empty', () => ''],
  ])('ignores a file that is %s', (_, damage) => {
    const folder = temporaryFolder();
    const cache = new PlanCache(folder);
    cache.write('graph a', PLAN);
    const [file] = readdirSync(folder);
    writeFileSync(join(folder, file), damage(readFileSync(join(folder, file), 'utf8')));
    expect(cache.read('graph a')).toBeNull();
  });

  it('stays empty if its folder cannot be made', () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o400);
    const cache = new PlanCache(join(file, 'folder'));
    cache.write('graph a', PLAN);
    expect(cache.read('graph a')).toBeNull();
  });
});
