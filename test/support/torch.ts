/** @file The PyTorch that is installed, if there is one: STMIXER_PYTHON or python3. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PYTHON = process.env.STMIXER_PYTHON ?? 'python3';
const found = spawnSync(PYTHON, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });

/** null where that Python has no torch; tests that need it are skipped then. */
export const torchVersion = found.status === 0 ? found.stdout.trim() : null;

/** For the title of such tests: the version, or why they are skipped. */
export const torchTitle = torchVersion
  ? `with torch ${torchVersion}`
  : `skipped: ${PYTHON} has no torch; point STMIXER_PYTHON at a Python that has it`;

/** Runs a script in a folder; what it prints is JSON. */
export function runPython(script: string, folder: string): unknown {
  const printed = run(['-c', script], folder);
  return printed ? JSON.parse(printed) : null;
}

/** Runs a file of test/e2e in a folder, with the words that come after its name. */
export function runPythonFile(file: string, words: readonly string[], folder: string): void {
  run([fileURLToPath(new URL(`../e2e/${file}`, import.meta.url)), ...words], folder);
}

function run(words: readonly string[], folder: string): string {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-W', 'ignore', ...words], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`Python failed:\n${stderr}`);
  return stdout;
}
