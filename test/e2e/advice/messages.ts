/** @file Finds the messages in the sources that propose a command or a setting. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** A text in the sources; the parts between its placeholders, in order. */
export interface Message {
  /** Path and line. */
  readonly place: string;
  readonly parts: readonly string[];
  /** Texts that stand in the placeholders. */
  readonly inserted: readonly string[];
}

/** Names of what a user can type: flags, settings, commands and variables of the environment. */
const TYPED = [
  '(?<![\\w-])--[a-z][a-z-]+',
  '\\b(?:DATA|AVA|DATALOADER|MODEL|ViT|RESNET|NONLOCAL|SLOWFAST|SOLVER|TEST|ENGINE)\\.[A-Z]',
  '\\b(?:STMIXER|TF|CUDA)_[A-Z_]+\\b',
  '\\b(?:OUTPUT_DIR|TMPDIR|WORLD_SIZE|CXX|PYTHON)\\b',
  '\\bstmixer [a-z]+',
  '\\b(?:npm|apt-get|ulimit|pip|docker) ',
  'kinds of quotes',
  'README',
];

/** Words by which a sentence asks its reader to do something, or names a value that would do. */
const ASKING =
  /(?<![\w-])(?:add|append|ask|choose|copy|cut|delete|did you mean|e\.g\.|exchange|expected|for example|free|get|give|install|leave out|lower|move|name|needs?|omit|pass|put|quote|raise|reinstall|remove|rename|repeat|replace|run|say|set|start|take|to go on|try|turn|unset|use|want|with(?:out)? it|write|shows?|helps?)(?![\w-])/i;

/** A setting or a flag with its value, which other texts put into a sentence. */
const SETTING_AND_VALUE =
  /^(?:[^\w-]* |a \w+ )?(?:--[a-z-]+|[A-Za-z]+\.[A-Z_]+(?:\.[A-Z_]*)*)(?:[\s\u2026]|$)|: --[a-z-]+ /;

/** Pages and pictures. */
const MARKUP = /<[a-z]+[ >]|\{[a-z-]+:/;

const PLACEHOLDER = '\0';

function isAsking(text: string): boolean {
  return ASKING.test(text) || SETTING_AND_VALUE.test(text);
}

/** All texts below `folders` that name something to type and ask for something, tests and descriptions of options aside. */
export function proposingMessages(...folders: string[]): Message[] {
  const typed = new RegExp(TYPED.join('|'));
  return folders
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => /\.[jt]s$/.test(file) && !file.endsWith('.test.ts'))
        .sort()
        .map((file) => join(folder, file)),
    )
    .flatMap(textsIn)
    .filter(({ parts, inserted }) => {
      const text = parts.join(' ');
      const isTyped = typed.test([text, ...inserted].join(' '));
      return /\s/.test(text) && isTyped && isAsking(text) && !MARKUP.test(text);
    });
}

/** Whether a printed text contains the message, with anything in the place of its placeholders. */
export function contains(printed: string, { parts }: Message): boolean {
  let from = 0;
  for (const part of parts) {
    const at = printed.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

function textsIn(file: string): Message[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: Message[] = [];
  const visit = (node: ts.Node): void => {
    const text = textOf(node);
    if (text === null) {
      for (const child of childrenToRead(node)) visit(child);
      return;
    }
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    const inserted: string[] = [];
    const before = found.length;
    eachPlaceholder(node, visit);
    for (const { parts } of found.slice(before)) inserted.push(...parts);
    found.push({ place: `${file}:${line + 1}`, parts: text.split(PLACEHOLDER).filter(Boolean), inserted });
  };
  visit(source);
  return found;
}

/** The text of a literal, a template or a sum with one; null for all else. */
function textOf(node: ts.Node): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map(({ literal }) => PLACEHOLDER + literal.text).join('');
  if (ts.isParenthesizedExpression(node)) return textOf(node.expression);
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return null;
  const [left, right] = [textOf(node.left), textOf(node.right)];
  return left === null && right === null ? null : (left ?? PLACEHOLDER) + (right ?? PLACEHOLDER);
}

/** Goes on into what stands between the parts of a text, which may hold texts of its own. */
function eachPlaceholder(node: ts.Node, visit: (node: ts.Node) => void): void {
  if (ts.isStringLiteralLike(node)) return;
  if (ts.isTemplateExpression(node)) for (const { expression } of node.templateSpans) visit(expression);
  else if (ts.isParenthesizedExpression(node)) eachPlaceholder(node.expression, visit);
  else if (ts.isBinaryExpression(node) && textOf(node) !== null)
    for (const side of [node.left, node.right])
      if (textOf(side) === null) visit(side);
      else eachPlaceholder(side, visit);
  else visit(node);
}

/** Calls whose texts describe commands, options and settings: they answer --help and the reference, not an error. */
const DESCRIBING = new Set([
  ...['description', 'option', 'requiredOption', 'argument', 'addHelpText', 'showHelpAfterError', 'Option'],
  ...['int', 'float', 'bool', 'text', 'word', 'list', 'section'],
]);

/** All children of a node but the texts of a description. */
function childrenToRead(node: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return children;
  const callee = ts.isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression;
  if (!ts.isIdentifier(callee) || !DESCRIBING.has(callee.text)) return children;
  return children.filter((child) => textOf(child as ts.Node) === null);
}
