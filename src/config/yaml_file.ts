/** @file Reads a YAML file as PyYAML does, with the line of every key. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import yaml from 'js-yaml';
import { twinClause } from '../files/twins.js';
import { formatPythonLiteral } from '../formats/python/literals.js';
import { PyFloat } from '../formats/python/values.js';
import { addressProblem } from '../util/addresses.js';
import { encodingOf } from '../util/encoding.js';
import { foreignBytes, foreignText } from './foreign/content.js';
import { shippedClause, startFrom } from './foreign/shipped.js';
import type { Problem } from './messages.js';
import { type YamlEntry, YamlMapping } from './yaml_mapping.js';

/** Maximum size of a file. Configurations have a few kilobytes; a larger file is something else, or an attack. */
const MAX_BYTES = 1024 * 1024;
/** Maximum number of values after all aliases are expanded. */
const MAX_NODES = 100_000;
const MAX_NESTING = 50;

/**
 * Reads the mapping in a file, or returns what is wrong with it. Scalars follow YAML 1.1, as in PyYAML. Floats are PyFloat,
 * ints beyond 2^53 are bigint. A mapping with the same key twice has both entries.
 */
export function readYamlFile(file: string): { mapping: YamlMapping } | { problem: Problem } {
  const fail = (message: string, line?: number) =>
    ({ problem: { origin: { source: 'file', file, line }, message } }) as const;
  const address = addressProblem(file, 'file');
  if (address !== null) return fail(address);
  const bytes = readBytes(file);
  if (typeof bytes === 'string') return fail(bytes);
  const foreign = foreignBytes(bytes, file);
  if (foreign !== null) return fail(foreign);
  if (bytes.length > MAX_BYTES) return fail('is larger than 1 MiB, too large for a configuration file');
  const text = decodeText(bytes);
  if (text === null) return fail(`is not a text file in UTF-8; ${startFrom()}`);
  let root: Node;
  try {
    root = parse(text);
  } catch (error) {
    const seems = foreignText(text, file);
    if (seems !== null) return fail(seems);
    if (error instanceof RangeError) return fail('nested too deeply');
    if (!(error instanceof yaml.YAMLException)) throw error;
    return fail(...invalidYaml(error, text));
  }
  return mappingIn(root, text, { file, fail });
}

/** What to do about mistakes for which the parser's reason does not say it. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/unknown escape/, 'between double quotes a backslash is special; use single quotes, or / in paths'],
  [/tab characters/, 'indent with spaces'],
  [
    /unknown tag !<tag:yaml\.org,2002:python/,
    'Python values are not supported; write a plain number, text or list',
  ],
];

/** Maximum length of a line of the file in a message. */
const MAX_SHOWN = 60;

/** The reason why a text is not YAML, with the line that shows it, and the number of that line. */
function invalidYaml({ reason, mark }: yaml.YAMLException, text: string): [message: string, line?: number] {
  const advice = ADVICE.find(([pattern]) => pattern.test(reason))?.[1];
  const shown = mark && text.split(/\r?\n/)[mark.line]?.trim().slice(0, MAX_SHOWN);
  const parts = [
    `not valid YAML: ${reason}`,
    ...(shown ? [`: ${shown}`] : []),
    ...(advice ? [`; ${advice}`] : []),
  ];
  return [parts.join(''), mark && mark.line + 1];
}

/** The mapping of a parsed file, or what is wrong with it. */
function mappingIn<P>(
  root: Node,
  text: string,
  { file, fail }: { file: string; fail: (message: string) => P },
): { mapping: YamlMapping } | P {
  if (root.value === null || root.value === undefined)
    return fail('is empty: a configuration needs at least one section');
  const cost = new NodeCounter().count(root.value);
  if (cost > MAX_NODES) {
    return fail(
      cost === Number.POSITIVE_INFINITY
        ? 'an alias (*name) refers to a value that contains it'
        : `its aliases (*name) expand to more than ${MAX_NODES} values`,
    );
  }
  if (isMapping(root.value)) return { mapping: toMapping(root, root.line) };
  return fail(
    foreignText(text, file) ??
      `expected a mapping of sections (DATA:, MODEL:, …), found ${describeShort(root.value)}`,
  );
}

/** The text of a file in UTF-8 or, as some editors on Windows save it, in UTF-16; null for anything else. */
function decodeText(bytes: Uint8Array): string | null {
  const encoding = encodingOf(bytes);
  if (encoding === 'utf-32') return null;
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function describeShort(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return formatPythonLiteral(value).slice(0, 60);
}

/** Reads the bytes of a file, at most one more than allowed. Returns a string with the reason if it cannot be read. */
function readBytes(file: string): Uint8Array | string {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    if (fstatSync(fd).isDirectory())
      return `is a directory; expected a YAML file${ownConfigClause(file) || shippedClause(file)}`;
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const count = readSync(fd, buffer, length, buffer.length - length, null);
      length += count;
      if (count === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return `no such file${twinClause(resolve(file)) || shippedClause(file)}`;
    if (code === 'EACCES') return 'cannot be read: permission denied';
    if (code === undefined) throw error;
    return `cannot be read: ${message}`;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Names the configuration in the folder of a run. */
function ownConfigClause(folder: string): string {
  const path = join(folder, 'config.yaml');
  return existsSync(path) ? `, such as ${path}` : '';
}

/** A node as the parser reports it: first line (from 1), value, and the nodes inside it. */
interface Node {
  line: number;
  kind: string | null;
  value: unknown;
  children: Node[];
  /** Offset in the text before the node. Blanks, comments or an anchor may follow. */
  start?: number;
  written?: string;
}

/** Fields of js-yaml's parser state that its type declarations omit. */
interface ParserState {
  line: number;
  kind: string | null;
  result: unknown;
  input: string;
  position: number;
}

function parse(text: string): Node {
  const top: Node = { line: 1, kind: null, value: undefined, children: [] };
  const open = [top];
  const listener = (event: 'open' | 'close', state: ParserState) => {
    if (event === 'open') {
      const { line, position: start } = state;
      open.push({ line: line + 1, kind: null, value: undefined, children: [], start });
      return;
    }
    const node = open.pop()!;
    node.kind = state.kind;
    node.value = state.result;
    // Numbers, booleans and null contain no blanks.
    if (node.kind === 'scalar' && typeof node.value !== 'string')
      node.written = /\S+$/.exec(state.input.slice(node.start, state.position).trimEnd())?.[0];
    const [only] = node.children;
    // The parser first tries a node as the first key of a mapping. The node is then its own only child.
    if (node.children.length === 1 && only.kind === node.kind && only.value === node.value)
      node.children = only.children;
    open.at(-1)!.children.push(node);
  };
  // `json` allows a key to occur twice, so that the error can name both lines.
  const options = { schema: PYYAML_SCHEMA, json: true, maxDepth: MAX_NESTING, listener };
  const value = yaml.load(text, options as yaml.LoadOptions);
  const root = top.children.find((node) => node.value === value) ?? top;
  root.value = value;
  return root;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof PyFloat);
}

function toMapping(node: Node, line: number): YamlMapping {
  const value = node.value as Record<string, unknown>;
  const entries: YamlEntry[] = [];
  const seen = new Set<string>();
  let mergeLine = line;
  for (let i = 0; i + 1 < node.children.length; i += 2) {
    const [key, item] = [node.children[i], node.children[i + 1]];
    if (key.value === '<<') mergeLine = key.line;
    else entries.push(toEntry(String(key.value), key.line, item));
    seen.add(String(key.value));
  }
  const names = Object.keys(value);
  const merged = names.filter((name) => !seen.has(name));
  // Aliases and keys without a value leave no pairs. Their lines are then those of the mapping.
  const paired = node.children.length % 2 === 0 && entries.every(({ key }) => Object.hasOwn(value, key));
  if (!paired || (merged.length > 0 && !seen.has('<<'))) {
    return new YamlMapping(
      names.map((name) => toEntry(name, line, { line, kind: null, value: value[name], children: [] })),
    );
  }
  for (const name of merged) {
    entries.push(toEntry(name, mergeLine, { line: mergeLine, kind: null, value: value[name], children: [] }));
  }
  return new YamlMapping(entries);
}

function toEntry(key: string, line: number, node: Node): YamlEntry {
  const { value, written } = node;
  return { key, line, value: isMapping(value) ? toMapping(node, line) : value, written };
}

/** Counts values as if every alias were expanded, without expanding them. */
class NodeCounter {
  readonly #known = new Map<object, number>();

  count(value: unknown): number {
    if (typeof value !== 'object' || value === null || value instanceof PyFloat) return 1;
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    // A value that is met again while it is counted contains itself.
    this.#known.set(value, Number.POSITIVE_INFINITY);
    let total = 1;
    for (const item of Object.values(value)) total += this.count(item);
    this.#known.set(value, total);
    return total;
  }
}

const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const TRUE = /^(?:yes|true|on)$/i;
const INT = /^[-+]?(?:0b[01_]+|0[0-7_]+|0x[\da-fA-F_]+|0|[1-9][\d_]*(?::[0-5]?\d)*)$/;
const FLOAT =
  /^(?:[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))$/;

/** Reads an int of YAML 1.1, e.g. `0b1`, `0x1`, `017` (octal) and `1:30` (base 60). */
function constructInt(text: string): number | bigint {
  const digits = text.replace(/[-+_]/g, '');
  let value: bigint;
  if (digits.includes(':')) value = digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  else if (/^0\d/.test(digits)) value = BigInt(`0o${digits}`);
  else value = BigInt(digits);
  if (text.startsWith('-')) value = -value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function constructFloat(text: string): PyFloat {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[-+]|_/g, '').toLowerCase();
  if (digits === '.inf') return new PyFloat(sign * Number.POSITIVE_INFINITY);
  if (digits === '.nan') return new PyFloat(Number.NaN);
  return new PyFloat(sign * digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0));
}

/** The safe types of PyYAML that a configuration needs. */
const PYYAML_SCHEMA = yaml.FAILSAFE_SCHEMA.extend({
  implicit: [
    new yaml.Type('tag:yaml.org,2002:null', {
      kind: 'scalar',
      resolve: (text) => text === null || /^(?:~|null|Null|NULL|)$/.test(text),
      construct: () => null,
    }),
    new yaml.Type('tag:yaml.org,2002:bool', {
      kind: 'scalar',
      resolve: (text) => text !== null && BOOL.test(text),
      construct: (text) => TRUE.test(text),
    }),
    new yaml.Type('tag:yaml.org,2002:int', {
      kind: 'scalar',
      resolve: (text) => text !== null && INT.test(text),
      construct: constructInt,
    }),
    new yaml.Type('tag:yaml.org,2002:float', {
      kind: 'scalar',
      resolve: (text) => text !== null && FLOAT.test(text),
      construct: constructFloat,
    }),
    new yaml.Type('tag:yaml.org,2002:merge', { kind: 'scalar', resolve: (text) => text === '<<' }),
  ],
});
