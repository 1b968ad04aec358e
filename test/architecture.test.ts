/**
 * @file The shape of the sources: which folder may import which, and the size of functions and folders.
 *
 * Each rule has a list of exceptions with reasons. The lists only shrink: the test fails if an exception is no longer needed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/** Folders and files of src from bottom to top; each imports only from those before it. */
const ORDER = [
  ...[
    'errors.ts',
    'util',
    'files',
    'formats',
    'config',
    'engine',
    'distributed',
    'nn',
    'media',
    'data',
    'model',
    'loss',
    'solver',
  ],
  ...[
    'checkpoint',
    'drawing',
    'evaluation',
    'run',
    'detect',
    'data_tools',
    'report',
    'training',
    'engine_check',
    'cli',
    'index.ts',
  ],
];
const MAX_FUNCTION_LINES = 55;
const MAX_PARAMETERS = 4;
const MAX_FOLDER_LINES = 2_500;

/** Names by the reason why the rule does not hold for them. */
type Exceptions = Readonly<Record<string, readonly string[]>>;

/** Importing file → imported folder. */
const IMPORT_EXCEPTIONS: Exceptions = {};

const TFJS_EXCEPTIONS: Exceptions = { 'exports all of tfjs to programs': ['index.ts'] };

/** File: function. */
const LENGTH_EXCEPTIONS: Exceptions = {};

/** File: function. */
const PARAMETER_EXCEPTIONS: Exceptions = {
  "a method of tfjs's backends, which tfjs calls": ['engine/record/backend.ts: RecordingBackend.move'],
};

const FOLDER_EXCEPTIONS: Exceptions = {};

interface SourceFile {
  /** Path below src, with slashes. */
  readonly path: string;
  readonly lines: number;
  readonly nodes: readonly ts.Node[];
}

const files: SourceFile[] = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => {
    const text = readFileSync(join('src', path), 'utf8');
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    return {
      path: path.split(sep).join('/'),
      lines: source.getLineStarts().length - 1,
      nodes: nodesOf(source),
    };
  });

/** A node and all nodes in it. */
function nodesOf(node: ts.Node): ts.Node[] {
  const found = [node];
  ts.forEachChild(node, (child) => {
    found.push(...nodesOf(child));
  });
  return found;
}

/** Paths below src of the modules that a file imports, types included. */
function importsOf({ path, nodes }: SourceFile): string[] {
  return nodes.flatMap((node) => {
    const specifier =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : undefined;
    if (!specifier || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return [];
    return [
      relative('.', join(dirname(path), specifier.text.replace(/\.js$/, '.ts')))
        .split(sep)
        .join('/'),
    ];
  });
}

/** Whether a file loads tfjs with `import`; types alone load nothing. */
function importsTfjs({ nodes }: SourceFile): boolean {
  return nodes.some(
    (node) =>
      ((ts.isImportDeclaration(node) && !node.importClause?.isTypeOnly) ||
        (ts.isExportDeclaration(node) && !node.isTypeOnly)) &&
      node.moduleSpecifier?.getText() === "'@tensorflow/tfjs'",
  );
}

const placeOf = (path: string) => ORDER.indexOf(path.split('/')[0]);

/** Uses of the process that belong to the command line: its streams, its exit and its signals. */
function processUsesOf({ path, nodes }: SourceFile): string[] {
  return nodes.flatMap((node) => {
    if (!ts.isPropertyAccessExpression(node)) return [];
    const text = node.getText();
    const isStream = /^(process\.(stdout|stderr|exitCode|exit)|console\.(log|info|warn|error|debug))$/.test(
      text,
    );
    const call = node.parent;
    const isHandler =
      /^process\.(on|once|off)$/.test(text) &&
      ts.isCallExpression(call) &&
      call.arguments[0].getText() !== "'exit'";
    return isStream || isHandler ? [`${path}: ${text}`] : [];
  });
}

/** The functions of a file with their names, which include those of their classes. */
function functionsOf({ path, nodes }: SourceFile) {
  return nodes.filter(isFunction).map((node) => ({ node, name: `${path}: ${nameOf(node)}` }));
}

function isFunction(node: ts.Node): node is ts.FunctionLikeDeclaration {
  return ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  const owner = node.parent;
  const own = ts.isConstructorDeclaration(node) ? 'constructor' : node.name?.getText();
  if (ts.isClassLike(owner)) return `${owner.name?.text ?? 'class'}.${own}`;
  const declared =
    ts.isVariableDeclaration(owner) || ts.isPropertyAssignment(owner) ? owner.name.getText() : null;
  return own ?? declared ?? `function in line ${lineOf(node, node.getStart())}`;
}

function lineOf(node: ts.Node, position: number): number {
  return node.getSourceFile().getLineAndCharacterOfPosition(position).line + 1;
}

function lengthOf(node: ts.Node): number {
  return lineOf(node, node.getEnd()) - lineOf(node, node.getStart()) + 1;
}

/** Expects that exactly the exceptions of a rule break it. */
function expectExactly(broken: readonly string[], exceptions: Exceptions): void {
  expect([...new Set(broken)].sort()).toEqual(Object.values(exceptions).flat().sort());
}

describe('the sources', () => {
  it('lie in folders that have a place in the order', () => {
    expect(files.map(({ path }) => path).filter((path) => placeOf(path) < 0)).toEqual([]);
  });

  it('import only from their own folder and those below it', () => {
    const upward = files.flatMap((file) =>
      importsOf(file)
        .filter((imported) => placeOf(imported) > placeOf(file.path))
        .map((imported) => `${file.path} → ${imported.split('/')[0]}`),
    );
    expectExactly(upward, IMPORT_EXCEPTIONS);
  });

  it('load tfjs in engine/tfjs.ts, because to import it takes half a second', () => {
    expectExactly(
      files.filter(importsTfjs).map(({ path }) => path),
      TFJS_EXCEPTIONS,
    );
  });

  it('leave streams, exit codes and signals to the command line', () => {
    const outside = files.filter(({ path }) => !path.startsWith('cli/'));
    expect(outside.flatMap(processUsesOf)).toEqual([]);
  });

  it(`have functions of at most ${MAX_FUNCTION_LINES} lines`, () => {
    const long = files.flatMap(functionsOf).filter(({ node }) => lengthOf(node) > MAX_FUNCTION_LINES);
    expectExactly(
      long.map(({ name }) => name),
      LENGTH_EXCEPTIONS,
    );
  });

  it(`have functions of at most ${MAX_PARAMETERS} parameters`, () => {
    const wide = files.flatMap(functionsOf).filter(({ node }) => node.parameters.length > MAX_PARAMETERS);
    expectExactly(
      wide.map(({ name }) => name),
      PARAMETER_EXCEPTIONS,
    );
  });

  it(`have at most ${MAX_FOLDER_LINES} lines in a folder, without its sub-folders`, () => {
    const lines = new Map<string, number>();
    for (const { path, lines: count } of files) {
      const folder = dirname(path);
      lines.set(folder, (lines.get(folder) ?? 0) + count);
    }
    const large = [...lines].filter(([, count]) => count > MAX_FOLDER_LINES).map(([folder]) => folder);
    expectExactly(large, FOLDER_EXCEPTIONS);
  });
});
