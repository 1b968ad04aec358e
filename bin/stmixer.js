#!/usr/bin/env node
/** @file Launcher: the built program, or the sources themselves where nothing has been built yet. */
import { existsSync } from 'node:fs';

const built = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(built)) {
  await (await import(built.href)).main(process.argv);
} else {
  const { tsImport } = await import('tsx/esm/api');
  const { main } = await tsImport('../src/cli/main.ts', import.meta.url);
  await main(process.argv);
}
