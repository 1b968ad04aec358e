/** @file Writes the table of configuration keys into a file: `config-reference.ts README.md`. With --check, only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { insertReference } from '../src/config/reference.js';

const args = process.argv.slice(2);
const check = args.includes('--check');
const [file, ...rest] = args.filter((arg) => arg !== '--check');
if (!file || rest.length) {
  console.error('usage: config-reference.ts FILE [--check]');
  process.exit(2);
}
try {
  const before = readFileSync(file, 'utf8');
  const after = insertReference(before);
  if (before !== after && check) {
    console.error(
      `${file}: the table of configuration keys differs from the schema; run this without --check`,
    );
    process.exitCode = 1;
  } else if (before !== after) {
    writeFileSync(file, after);
  }
} catch (error) {
  console.error(`${file}: ${(error as Error).message}`);
  process.exitCode = 1;
}
