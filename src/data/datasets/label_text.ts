/** @file Label maps in the text format of protobuf: `item { name: "…" id: 1 }`. */
import type { ProblemSink } from '../problems.js';

export interface ActionLabel {
  /** 1-based, as in the annotations. */
  readonly id: number;
  readonly name: string;
}

interface Token {
  readonly kind: 'word' | 'text' | 'mark';
  /** The word or mark; the content of a text in quotes. */
  readonly value: string;
  readonly line: number;
}

/** Whether a text has blocks like those of a label map. */
export function isProtobufText(text: string): boolean {
  return /^\s*(?:#.*\n\s*)*(?:\w+\s*:?\s*)?[{}]/.test(text) || /^\s*(?:item|label)s?\s*:?\s*[{<]/m.test(text);
}

/** Parses the blocks of a text, in order, and reports mistakes with their lines. */
export function parseProtobufLabels(
  text: string,
  complain: (line: number, message: string) => void,
): ActionLabel[] {
  return new Parser(tokensOf(text), complain).parse();
}

interface Block {
  readonly line: number;
  name?: string;
  displayName?: string;
  id?: number;
}

class Parser {
  readonly #labels: ActionLabel[] = [];
  readonly #lineOfId = new Map<number, number>();
  #at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly complain: (line: number, message: string) => void,
  ) {}

  parse(): ActionLabel[] {
    while (this.#at < this.tokens.length) this.#parseTop();
    return this.#labels;
  }

  #next(): Token | undefined {
    return this.tokens[this.#at++];
  }

  #skip(mark: string): boolean {
    const token = this.tokens[this.#at];
    const isThere = token?.kind === 'mark' && token.value === mark;
    if (isThere) this.#at++;
    return isThere;
  }

  #parseTop(): void {
    const token = this.#next()!;
    if (token.kind === 'mark' && (token.value === ',' || token.value === ';')) return;
    if (token.kind === 'mark' && isClosing(token.value)) {
      this.complain(token.line, 'a "}" without a block');
      return;
    }
    if (token.kind === 'word') {
      this.#skip(':');
      if (this.#skip('{') || this.#skip('<')) {
        this.#parseBlock(token.line);
        return;
      }
    }
    this.complain(token.line, `expected 'item { name: "…" id: … }', found ${JSON.stringify(token.value)}`);
    // The rest of the line follows from the same mistake.
    while (this.tokens[this.#at]?.line === token.line && !this.#beginsBlock()) this.#at++;
  }

  #beginsBlock(): boolean {
    const [word, mark, other] = this.tokens.slice(this.#at, this.#at + 3);
    const opens = (token?: Token) => token?.kind === 'mark' && (token.value === '{' || token.value === '<');
    return word?.kind === 'word' && (opens(mark) || (mark?.value === ':' && opens(other)));
  }

  #parseBlock(line: number): void {
    const block: Block = { line };
    for (;;) {
      const token = this.#next();
      if (token === undefined) {
        this.complain(line, 'the block that begins here has no "}"');
        return;
      }
      if (token.kind === 'mark' && isClosing(token.value)) {
        this.#add(block);
        return;
      }
      if (token.kind === 'mark' && (token.value === ',' || token.value === ';')) continue;
      if (!this.#parseField(token, block)) return;
    }
  }

  /** Reads a field of a block; returns false if the block cannot be read on. */
  #parseField(field: Token, block: Block): boolean {
    const hasColon = this.#skip(':') || this.#skip('=');
    if (this.#skip('{') || this.#skip('<')) {
      if (/^(?:item|label)$/.test(field.value)) {
        this.complain(field.line, `a block begins inside the block of line ${block.line}`);
        this.#parseBlock(field.line);
        return false;
      }
      this.#skipNested();
      return true;
    }
    if (field.kind !== 'word' || !hasColon) {
      this.complain(field.line, `expected 'item { name: "…" id: … }', found ${JSON.stringify(field.value)}`);
      return true;
    }
    if (this.#skip('[')) {
      while (this.#at < this.tokens.length && !this.#skip(']')) this.#at++;
      return true;
    }
    this.#setField(field, block);
    return true;
  }

  #setField({ value: field, line }: Token, block: Block): void {
    const value = this.#next();
    if (field === 'name' || field === 'display_name') {
      if (value?.kind !== 'text') {
        this.complain(line, `a name must be in quotes, found ${value?.value ?? 'nothing'}`);
        // Words without quotes belong to the name.
        while (
          this.tokens[this.#at]?.line === line &&
          this.tokens[this.#at].kind === 'word' &&
          this.tokens[this.#at + 1]?.value !== ':'
        )
          this.#at++;
        block[field === 'name' ? 'name' : 'displayName'] = value?.value ?? '';
        return;
      }
      let text = value.value;
      // Texts that follow each other are one text.
      while (this.tokens[this.#at]?.kind === 'text') text += this.#next()!.value;
      block[field === 'name' ? 'name' : 'displayName'] = text;
    } else if (field === 'id' || field === 'label_id') {
      block.id = Number(value?.value);
      if (value?.kind === 'word' && /^[1-9]\d*$/.test(value.value)) return;
      const hint = value?.value === '0' ? ' (ids begin at 1, because 0 means no action)' : '';
      this.complain(line, `an id must be a whole number from 1, found ${value?.value ?? 'nothing'}${hint}`);
    }
  }

  #skipNested(): void {
    for (let depth = 1; depth > 0 && this.#at < this.tokens.length; ) {
      const { kind, value } = this.#next()!;
      if (kind !== 'mark') continue;
      if (value === '{' || value === '<') depth++;
      else if (isClosing(value)) depth--;
    }
  }

  #add({ line, name, displayName, id }: Block): void {
    const shown = displayName || name;
    if (shown === undefined || id === undefined) {
      this.complain(line, 'a label needs a name and an id (or label_id)');
    } else if (this.#lineOfId.has(id)) {
      this.complain(line, `id ${id} is already on line ${this.#lineOfId.get(id)}`);
    } else if (Number.isInteger(id) && id > 0) {
      this.#lineOfId.set(id, line);
      this.#labels.push({ id, name: shown });
    }
  }
}

function isClosing(mark: string): boolean {
  return mark === '}' || mark === '>';
}

/** Words, texts in quotes and marks, without comments. */
function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  text.split('\n').forEach((content, i) => {
    const pattern = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(#.*)|([^\s{}<>:=,;[\]"'#]+)|(\S)/g;
    for (const [, double, single, comment, word, mark] of content.matchAll(pattern)) {
      const quoted = double ?? single;
      if (comment !== undefined) continue;
      if (quoted !== undefined) tokens.push({ kind: 'text', value: unescaped(quoted), line: i + 1 });
      else if (word !== undefined) tokens.push({ kind: 'word', value: word, line: i + 1 });
      else tokens.push({ kind: 'mark', value: mark, line: i + 1 });
    }
  });
  return tokens;
}

const LETTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** A text without its escapes. Those of bytes, such as `\303\251`, are UTF-8. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  return text
    .replace(/(?:\\(?:[0-7]{1,3}|x[\da-fA-F]{1,2}))+/g, (bytes) => {
      const codes = [...bytes.matchAll(/\\(?:x([\da-fA-F]+)|([0-7]+))/g)];
      return Buffer.from(
        codes.map(([, hex, octal]) => Number.parseInt(hex ?? octal, hex ? 16 : 8)),
      ).toString();
    })
    .replace(/\\(.)/g, (_, letter) => LETTERS[letter] ?? letter);
}

/** Reports to a sink, with the path and line. */
export function complainTo(problems: ProblemSink, path: string): (line: number, message: string) => void {
  return (line, message) => problems.add(`${path}:${line}: ${message}`, 'file');
}
