/** @file Bundles an engine of ours and tfjs-core's own tests with one copy of tfjs-core. */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Writes the module, whose exports are those of `suite.ts` and `testFiles`: functions that load one each. */
export async function bundleSuite(testFiles: readonly string[], outfile: string): Promise<void> {
  const { metafile } = await build({
    stdin: {
      contents: entry(testFiles),
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
      loader: 'ts',
    },
    absWorkingDir: root,
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    // Node would take tfjs's CommonJS bundles, while the tests reach into the modules that those were made from.
    mainFields: ['module', 'main'],
    // The packages declare most files free of side effects, test files too, which would drop them.
    ignoreAnnotations: true,
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    plugins: [ourSources],
    metafile: true,
    logLevel: 'error',
  });
  checkSingleCore(metafile);
}

function entry(testFiles: readonly string[]): string {
  const loaders = testFiles.map(
    (name) => `'${name}': () => import('@tensorflow/tfjs-core/dist/${name}_test.js'),`,
  );
  return `export * from './suite.js';\nexport const testFiles = {\n${loaders.join('\n')}\n};\n`;
}

/** Lets our modules find the files and packages that they find without bundling. */
const ourSources: Plugin = {
  name: 'our-sources',
  setup({ onLoad, onResolve }) {
    // Node's `require` would load another copy of tfjs-core.
    onLoad({ filter: /engine[\\/]tfjs\.ts$/ }, () => ({
      contents: "export * as tf from '@tensorflow/tfjs';",
    }));
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const url = JSON.stringify(pathToFileURL(path).href);
      return { contents: source.replaceAll('import.meta.url', url), loader: 'ts' };
    });
    onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
      if (!importer.endsWith('.ts') || isBuiltin(path) || path.startsWith('@tensorflow/')) return undefined;
      return { path: import.meta.resolve(path), external: true };
    });
  },
};

/** Tensors, kernels and gradients are registered with the copy that a module imports. */
function checkSingleCore({ inputs }: Metafile): void {
  const engines = Object.keys(inputs).filter((path) =>
    /tfjs-core\/dist\/(engine|tf-core[^/]*)\.js$/.test(path),
  );
  if (engines.length !== 1)
    throw new Error(`not one copy of tfjs-core but ${engines.length}: ${engines.join(', ')}`);
}
