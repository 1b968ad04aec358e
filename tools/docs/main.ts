/**
 * @file `npm run docs [-- --check]`: writes the generated tables into the Markdown pages, and checks that every path, link
 * and npm script that the pages mention exists. With --check it changes nothing and exits with 1 if anything is out of date.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fillTables } from './generated_tables.js';
import { deadReferences } from './references.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const PAGES = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'checkpoints/README.md'],
  ...markdownIn('docs'),
  ...markdownIn('bench'),
];

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}

const check = process.argv.includes('--check');
const problems: string[] = [];
for (const page of PAGES) {
  const file = join(ROOT, page);
  const before = readFileSync(file, 'utf8');
  const after = fillTables(before);
  if (before !== after) {
    if (check) problems.push(`${page}: a generated table is out of date; run npm run docs`);
    else writeFileSync(file, after);
  }
  problems.push(...deadReferences(ROOT, relative(ROOT, file), after));
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;
