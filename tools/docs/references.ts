/** @file Finds links, paths and npm scripts in a Markdown page that lead nowhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Folders whose files the pages name by their path from the repository root. */
const FOLDERS = [
  'bench',
  'bin',
  'config_files',
  'docs',
  'examples',
  'sample',
  'scripts',
  'src',
  'test',
  'tools',
];

/** One sentence for each reference of the page that leads nowhere; `page` is its path from `root`. */
export function deadReferences(root: string, page: string, text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '');
  return [
    ...deadLinks(root, page, prose),
    ...deadPaths(root, prose).map((path) => `${page}: there is no file or folder ${path}`),
    ...unknownScripts(root, text).map((name) => `${page}: package.json has no script ${name}`),
  ];
}

function deadLinks(root: string, page: string, prose: string): string[] {
  const problems: string[] = [];
  for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path, anchor] = target.split('#');
    const file = path ? join(root, dirname(page), path) : join(root, page);
    if (!existsSync(file)) problems.push(`${page}: the link to ${target} leads nowhere`);
    else if (anchor && !anchorsOf(readFileSync(file, 'utf8')).has(anchor))
      problems.push(`${page}: ${target}: the page has no heading of that name`);
  }
  return problems;
}

/** Anchors that GitHub makes of the headings of a page. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^#+ +(.+)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Paths and names of source files in code spans that do not exist. */
function deadPaths(root: string, prose: string): string[] {
  const names = sourceNames(root);
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span);
  return spans.filter((span) => {
    if (!/^[\w./-]+$/.test(span)) return false;
    if (FOLDERS.includes(span.split('/')[0]) && span.includes('/')) return !existsSync(join(root, span));
    return /\.(ts|mjs)$/.test(span) && !names.has(span.slice(span.lastIndexOf('/') + 1));
  });
}

function sourceNames(root: string): Set<string> {
  const names = FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }),
  );
  return new Set([...names, ...readdirSync(root)].map((name) => name.slice(name.lastIndexOf('/') + 1)));
}

function unknownScripts(root: string, text: string): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const named = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name);
  return [...new Set(named)].filter((name) => scripts[name] === undefined);
}
