/**
 * @file Builds the programs of `bench/gpu_check.sh` in a folder, with dist and the packages that they load. A folder that is there
 * is replaced.
 *
 *   tsx bench/gpu_check/build.ts FOLDER
 *
 * onnxruntime-node and sharp stay out, since neither the engine cuda nor random input needs them.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'error',
} satisfies BuildOptions;
const PROGRAMS = [
  'bench/step.ts',
  ...['main', 'goldens', 'matrix_rate'].map((name) => `bench/gpu_check/${name}.ts`),
];
/** Modules of dist that call a require() of their own, which a bundler does not see. */
const REQUIRING = ['engine/tfjs.js', 'config/validator.js'];
/** Loaded by a computed name. */
const NATIVE = ['@koromix/koffi-linux-x64'];
const LEFT_OUT = ['onnxruntime-node', 'sharp', '*.node'];

/** Lets the programs take the modules of src from dist, and the tests in them run without vitest. */
const compiledSources: Plugin = {
  name: 'compiled-sources',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
      const file = relative(join(ROOT, 'src'), resolve(resolveDir, path));
      return file.startsWith('..') ? undefined : { path: `../dist/${file}`, external: true };
    });
    onResolve({ filter: /^vitest$/ }, () => ({ path: join(ROOT, 'bench/gpu_check/vitest.ts') }));
    // Threads of JavaScript need no help.
    onLoad({ filter: /typescript_threads\.mjs$/ }, () => ({ contents: '' }));
  },
};

/** `@vitest/expect` and chai become part of the programs; other packages are copied. */
const packagesOutside: Plugin = {
  name: 'packages-outside',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
      const isOurs = !importer.includes('node_modules') && !path.startsWith('@vitest/') && path !== 'chai';
      return isOurs && importer !== '' ? { path, external: true } : undefined;
    });
  },
};

async function buildPrograms(folder: string): Promise<void> {
  await build({
    ...OPTIONS,
    entryPoints: PROGRAMS,
    outbase: 'bench',
    entryNames: '[name]',
    outdir: join(folder, 'bench'),
    plugins: [compiledSources, packagesOutside],
  });
  for (const name of ['dist', 'bin', 'package.json'])
    cpSync(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: (path) => !path.endsWith('.d.ts'),
    });
}

/** Copies the files of packages that the programs may load, as esbuild finds them. */
async function copyPackages(folder: string): Promise<void> {
  const { metafile } = await build({
    ...OPTIONS,
    entryPoints: [
      join(folder, 'bin/stmixer.js'),
      ...PROGRAMS.map((path) => join(folder, 'bench', `${path.split('/').at(-1)?.slice(0, -3)}.js`)),
      ...REQUIRING.flatMap((path) => requiredBy(join(folder, 'dist', path))),
    ],
    nodePaths: [join(ROOT, 'node_modules')],
    // As require() finds them: "module" and "browser" are for bundlers.
    mainFields: ['main'],
    external: LEFT_OUT,
    outdir: join(folder, 'unused'),
    write: false,
    metafile: true,
  });
  const files = Object.keys(metafile.inputs).filter((path) => path.startsWith('node_modules/'));
  for (const path of new Set([...files, ...files.flatMap(descriptionsOf)])) copy(path, folder);
  for (const name of NATIVE) copy(`node_modules/${name}`, folder);
}

/** The paths of the packages that a module loads by a require() of its own. */
function requiredBy(path: string): string[] {
  const calls = readFileSync(path, 'utf8').matchAll(
    /[Rr]equire(?:\(import\.meta\.url\))?\(['"]([^'"]+)['"]\)/g,
  );
  return [...new Set(Array.from(calls, ([, name]) => name))].map((name) =>
    createRequire(import.meta.url).resolve(name),
  );
}

/** The files package.json above a file of a package: that of the package, and those that say what kind of modules a folder has. */
function descriptionsOf(path: string): string[] {
  const folders = path.split('/').slice(0, -1);
  return folders
    .map((_, i) => `${folders.slice(0, i + 1).join('/')}/package.json`)
    .filter((file) => existsSync(join(ROOT, file)));
}

function copy(path: string, folder: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  cpSync(join(ROOT, path), join(folder, path), { recursive: true, dereference: true });
}

const [target] = process.argv.slice(2);
if (!target) throw new Error('usage: tsx bench/gpu_check/build.ts FOLDER');
if (!existsSync(join(ROOT, 'dist'))) throw new Error('there is no dist: run npm run build');
const folder = resolve(target);
rmSync(folder, { recursive: true, force: true });
await buildPrograms(folder);
await copyPackages(folder);
