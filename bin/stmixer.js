#!/usr/bin/env node
/** @file Launcher: the built program, or the sources themselves where they are newer or nothing has been built. */
import { existsSync, readdirSync, statSync } from 'node:fs';

const built = new URL('../dist/cli/main.js', import.meta.url);
const sources = new URL('../src/', import.meta.url);

function isBuilt() {
  if (!existsSync(built)) return false;
  if (!existsSync(sources)) return true;
  const time = statSync(built).mtimeMs;
  const files = readdirSync(sources, { recursive: true }).filter((name) => name.endsWith('.ts'));
  return files.every((name) => statSync(new URL(name, sources)).mtimeMs <= time);
}

if (isBuilt()) {
  await (await import(built.href)).main(process.argv);
} else {
  const { tsImport } = await import('tsx/esm/api');
  const { main } = await tsImport('../src/cli/main.ts', import.meta.url);
  await main(process.argv);
}
