/** @file When there are native kernels, and where their library lies. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fakeProbe } from '../../../../test/support/fake_probe.js';
import { temporaryFolder } from '../../../../test/support/temporary_files.js';
import { machineProbe, type Probe } from '../../probe.js';
import type { OrtApi } from '../c_api.js';
import { nativeLibrary } from './library.js';
import { loadOperators } from './operators.js';

const machine = machineProbe();

/** This machine with an empty cache and other properties. */
function withEmptyCache(change: Partial<Probe> = {}, env: Probe['env'] = {}): [cache: string, probe: Probe] {
  const cache = temporaryFolder();
  return [
    cache,
    {
      ...machine,
      env: { ...process.env, XDG_CACHE_HOME: cache, STMIXER_NATIVE_KERNELS: '1', CC: undefined, ...env },
      ...change,
    },
  ];
}

describe('without native kernels, the reason', () => {
  const missing = (probe: Probe) => (nativeLibrary(probe) as { missing: string }).missing;

  it('is the variable that turns them off', () => {
    expect(missing(withEmptyCache({}, { STMIXER_NATIVE_KERNELS: '0' })[1])).toBe(
      'turned off by STMIXER_NATIVE_KERNELS',
    );
  });

  it('is a system without them', () => {
    expect(missing(fakeProbe({ platform: 'win32' }))).toBe('they do not exist for win32 x64');
    expect(missing(fakeProbe({ arch: 'arm64' }))).toBe('they do not exist for linux arm64');
  });

  it('is a processor without AVX2', () => {
    const files = { '/proc/cpuinfo': 'flags\t\t: fpu sse2 avx\n' };
    expect(missing(fakeProbe({ files }))).toBe('they need a processor with AVX2');
  });

  it('is a machine without a compiler', () => {
    expect(missing(fakeProbe({}))).toBe('they need a C compiler, such as gcc or clang');
  });

  it('is a compiler that fails, and leaves no file behind', () => {
    const run: Probe['run'] = (_, args) => (args[0] === '--version' ? 'cc 1.0' : null);
    const [cache, probe] = withEmptyCache({ run, platform: 'linux', arch: 'x64', readText: () => 'x' });
    expect(missing(probe)).toBe('cc cannot compile them');
    expect(readdirSync(join(cache, 'stmixer'))).toEqual([]);
  });

  it('is a library that cannot be loaded', () => {
    const path = fileURLToPath(import.meta.url);
    expect(loadOperators({} as OrtApi, { path })).toEqual({
      missing: expect.stringMatching(/^their library cannot be loaded: /),
    });
  });

  it('is a cache that cannot be written', () => {
    const run: Probe['run'] = () => 'cc 1.0';
    const env = { XDG_CACHE_HOME: fileURLToPath(import.meta.url) };
    expect(
      missing(withEmptyCache({ run, platform: 'linux', arch: 'x64', readText: () => 'x' }, env)[1]),
    ).toMatch(/^their library cannot be written: ENOTDIR/);
  });
});

describe('the native library', () => {
  it('is compiled once, and again for another compiler or processor', () => {
    const compiled: string[] = [];
    const compiler =
      (version: string): Probe['run'] =>
      (_, args) => {
        if (args[0] === '--version') return version;
        const output = args[args.indexOf('-o') + 1];
        writeFileSync(output, '');
        compiled.push(output);
        return '';
      };
    const x64 = { platform: 'linux', arch: 'x64', run: compiler('cc 1'), readText: () => 'flags : avx2' };
    const [cache, probe] = withEmptyCache(x64);
    const first = nativeLibrary(probe);
    expect(first).toEqual({ path: expect.stringContaining(join(cache, 'stmixer', 'kernels-')) });
    expect(nativeLibrary(probe)).toEqual(first);
    expect(compiled).toHaveLength(1);
    nativeLibrary({ ...probe, run: compiler('cc 2') });
    nativeLibrary({ ...probe, readText: () => 'flags : avx2 avx512f' });
    expect(compiled).toHaveLength(3);
    expect(readdirSync(join(cache, 'stmixer'))).toHaveLength(3);
  });

  // Nothing of it runs: the other processor may not be this one.
  it
    .skipIf(machine.arch !== 'x64' || machine.run('cc', ['--version']) === null)
    .each(['haswell', 'skylake-avx512'])('compiles without warnings for %s', (processor) => {
    const folder = fileURLToPath(new URL('.', import.meta.url));
    const sources = readdirSync(folder).filter((name) => name.endsWith('.c'));
    const options = ['-std=gnu11', `-march=${processor}`, '-Wall', '-Wextra', '-Werror', '-fsyntax-only'];
    const paths = sources.map((name) => join(folder, name));
    expect(machine.run('cc', [...options, ...paths], 120)).toBe('');
  });
});
