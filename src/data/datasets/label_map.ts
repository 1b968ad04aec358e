/** @file Label maps: the names of the actions, which AVA publishes in protobuf text format. */
import { DataError } from '../../errors.js';
import { Problems } from '../problems.js';
import { readLines } from '../read_lines.js';

export interface ActionLabel {
  /** 1-based, as in the annotations. */
  readonly id: number;
  readonly name: string;
}

/**
 * Reads `item { name: "…" id: 1 }` or `label { name: "…" label_id: 1 label_type: … }` blocks, on one line or several,
 * in file order. Throws DataError with file and line.
 */
export function readLabelMap(path: string): ActionLabel[] {
  const parser = new LabelMapParser(path);
  let lineNumber = 0;
  for (const line of readLines(path, 'label map')) {
    lineNumber++;
    for (const [token, , field, value] of tokens(line)) parser.add({ token, field, value }, lineNumber);
  }
  return parser.finish();
}

interface Token {
  readonly token: string;
  readonly field: string | undefined;
  readonly value: string;
}

class LabelMapParser {
  readonly #labels: ActionLabel[] = [];
  readonly #lineOfId = new Map<number, number>();
  readonly #problems = new Problems();
  #block: { line: number; name?: string; id?: number } | null = null;

  constructor(private readonly path: string) {}

  add({ token, field, value }: Token, line: number): void {
    const block = this.#block;
    if (token.endsWith('{')) {
      if (block) this.#complain(line, `a block begins inside the block of line ${block.line}`);
      this.#block = { line };
    } else if (token === '}') {
      this.#endBlock(line);
    } else if (field === undefined || !block) {
      this.#complain(line, `expected 'item { name: "…" id: … }', found ${JSON.stringify(token)}`);
    } else if (field === 'name') {
      const text = /^(["'])(.*)\1$/.exec(value);
      if (text) block.name = text[2].replace(/\\(.)/g, '$1');
      else this.#complain(line, `a name must be in quotes, found ${value}`);
    } else if (field === 'id' || field === 'label_id') {
      if (/^[1-9]\d*$/.test(value)) block.id = Number(value);
      else this.#complain(line, `an id must be a whole number from 1, found ${value}`);
    }
  }

  finish(): ActionLabel[] {
    if (this.#block) this.#complain(this.#block.line, 'the block that begins here has no "}"');
    this.#problems.throwIfAny();
    if (this.#labels.length === 0) throw new DataError(`${this.path}: the label map has no labels`);
    return this.#labels;
  }

  #endBlock(line: number): void {
    const block = this.#block;
    this.#block = null;
    if (!block) {
      this.#complain(line, 'a "}" without a block');
    } else if (block.name === undefined || block.id === undefined) {
      this.#complain(block.line, 'a label needs a name and an id (or label_id)');
    } else if (this.#lineOfId.has(block.id)) {
      this.#complain(block.line, `id ${block.id} is already on line ${this.#lineOfId.get(block.id)}`);
    } else {
      this.#lineOfId.set(block.id, block.line);
      this.#labels.push({ id: block.id, name: block.name });
    }
  }

  #complain(line: number, message: string): void {
    this.#problems.add(`${this.path}:${line}: ${message}`);
  }
}

/** Block starts, block ends, `field: value` pairs, and any other text, but no comments. */
function tokens(line: string): IterableIterator<RegExpMatchArray> {
  const pattern =
    /(\w+\s*:?\s*\{)|(\w+)\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s{}"'#]+)|\}|[^\s#{}]+|\{|#.*$/g;
  return [...line.matchAll(pattern)].filter(([token]) => !token.startsWith('#')).values();
}
