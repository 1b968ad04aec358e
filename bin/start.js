/** @file Starts the built program, or the sources themselves where they are newer or nothing has been built. */
import { existsSync, readdirSync, statSync } from 'node:fs';

// Loading the program takes a while, and only then is it known whether a hang-up is to be ignored.
let hungUp = false;
const hold = () => {
  hungUp = true;
};
process.on('SIGHUP', hold);

const built = new URL('../dist/cli/main.js', import.meta.url);
const sources = new URL('../src/', import.meta.url);

function isBuilt() {
  if (!existsSync(built)) return false;
  if (!existsSync(sources)) return true;
  const time = statSync(built).mtimeMs;
  const files = readdirSync(sources, { recursive: true }).filter((name) => name.endsWith('.ts'));
  return files.every((name) => statSync(new URL(name, sources)).mtimeMs <= time);
}

async function load() {
  if (isBuilt()) return await import(built.href);
  const { tsImport } = await import('tsx/esm/api');
  return await tsImport('../src/cli/main.ts', import.meta.url);
}

const { HANG_UP_IS_IGNORED, main } = await load();
if (!HANG_UP_IS_IGNORED) {
  process.off('SIGHUP', hold);
  if (hungUp) process.kill(process.pid, 'SIGHUP');
}
await main(process.argv);
