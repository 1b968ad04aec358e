/**
 * @file The native library: kernels in C, compiled for this processor with the machine's compiler at the first start, and
 * kept in the user's cache.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../../cache_folder.js';
import type { Probe } from '../../probe.js';

const SOURCES = fileURLToPath(new URL('.', import.meta.url));
const COMPILERS = ['cc', 'gcc', 'clang'];
/** Compiling takes two seconds, and much longer on a busy machine. */
const COMPILE_SECONDS = 120;
const FLAGS = [
  '-std=gnu11',
  '-O3',
  '-march=native',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-ffp-contract=fast',
  '-fPIC',
  '-shared',
  '-pthread',
];

/** The path of the library, or why there are no native kernels. */
export type NativeLibrary = { readonly path: string } | { readonly missing: string };

/** Finds the library in the cache, or compiles it, which takes some seconds. STMIXER_NATIVE_KERNELS=0 turns it off. */
export function nativeLibrary(probe: Probe): NativeLibrary {
  const { env, platform, arch } = probe;
  if (env.STMIXER_NATIVE_KERNELS === '0') return { missing: 'turned off by STMIXER_NATIVE_KERNELS' };
  if (arch !== 'x64' || !['linux', 'darwin'].includes(platform))
    return { missing: `they do not exist for ${platform} ${arch}` };
  const flags = processorFlags(probe);
  if (flags.length > 0 && !flags.includes('avx2')) return { missing: 'they need a processor with AVX2' };
  const compiler = findCompiler(probe);
  if (!compiler) return { missing: 'they need a C compiler, such as gcc or clang' };
  const path = join(cacheFolder(env), `kernels-${fingerprint(probe, compiler)}.so`);
  if (probe.exists(path)) return { path };
  return compile(probe, compiler, path);
}

/** What Linux calls the processor's instruction sets; empty on other systems. */
function processorFlags(probe: Probe): string[] {
  return (
    /^flags\s*:(.*)$/m
      .exec(probe.readText('/proc/cpuinfo') ?? '')?.[1]
      .trim()
      .split(/\s+/) ?? []
  );
}

interface CCompiler {
  readonly program: string;
  readonly version: string;
}

function findCompiler(probe: Probe): CCompiler | null {
  for (const program of [...(probe.env.CC ? [probe.env.CC] : []), ...COMPILERS]) {
    const version = probe.run(program, ['--version']);
    if (version) return { program, version };
  }
  return null;
}

/** Identifies everything that the library depends on. Homes are shared between machines with other processors. */
function fingerprint(probe: Probe, { version }: CCompiler): string {
  const hash = createHash('sha256');
  for (const name of sourceNames(probe)) hash.update(`${name}\n${probe.readText(join(SOURCES, name))}`);
  hash.update([version, ...FLAGS, cpus()[0]?.model, ...processorFlags(probe)].join('\n'));
  return hash.digest('hex').slice(0, 16);
}

function sourceNames(probe: Probe): string[] {
  return probe
    .list(SOURCES)
    .filter((name) => /\.[ch]$/.test(name))
    .sort();
}

function compile(probe: Probe, { program }: CCompiler, path: string): NativeLibrary {
  const sources = sourceNames(probe).filter((name) => name.endsWith('.c'));
  const temporary = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const options = [...FLAGS, ...sources.map((name) => join(SOURCES, name)), '-o', temporary, '-lm'];
    if (probe.run(program, options, COMPILE_SECONDS) === null) {
      rmSync(temporary, { force: true });
      return { missing: `${program} cannot compile them` };
    }
    // Another process may load the file at the same time, so it appears whole.
    renameSync(temporary, path);
    return { path };
  } catch (error) {
    return { missing: `their library cannot be written: ${(error as Error).message}` };
  }
}
