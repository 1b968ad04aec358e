/** @file Reads Python literals as `ast.literal_eval` does, and writes them. */
import { PyFloat, PyOpaque, PyTuple, type PyValue } from './values.js';

/** Maximum nesting of brackets. Python fails at about 200. */
const MAX_DEPTH = 100;

/**
 * The value of a Python literal: None, booleans, ints, floats (always a PyFloat), strings, tuples, lists and dicts,
 * at any nesting; `5, 8` without brackets is a tuple. Undefined for any other text, including bytes, sets and complex
 * numbers, which no configuration has.
 */
export function parsePythonLiteral(text: string): PyValue | undefined {
  try {
    return new Parser(text).parse();
  } catch (error) {
    if (error instanceof NotALiteral) return undefined;
    throw error;
  }
}

class NotALiteral extends Error {}

const SIGN = /[-+]/y;
const FLOAT =
  /(?:\d(?:_?\d)*\.(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][-+]?\d(?:_?\d)*)?|\d(?:_?\d)*[eE][-+]?\d(?:_?\d)*/y;
const INT = /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?0)*|[1-9](?:_?\d)*/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const STRING_START = /([rRuU]?)("""|'''|"|')/y;
const BLANKS = /[ \t\f]*/y;
/** Blanks, which include line ends and comments inside brackets and around the whole literal. */
const BLANK_LINES = /(?:[ \t\f\r\n]+|#[^\r\n]*)*/y;
/** Maximum digits of a decimal int, as in Python. */
const MAX_DIGITS = 4300;

class Parser {
  #at = 0;
  #depth = 0;

  constructor(readonly text: string) {}

  parse(): PyValue {
    this.#take(BLANK_LINES);
    const first = this.#value();
    let value: PyValue = first;
    this.#take(BLANKS);
    if (this.#skip(',')) value = new PyTuple([first, ...this.#items('')]);
    this.#take(BLANK_LINES);
    if (this.#at < this.text.length) throw new NotALiteral();
    return value;
  }

  #value(): PyValue {
    this.#take(this.#depth ? BLANK_LINES : BLANKS);
    if (this.#skip('(')) return this.#nested(() => this.#parenthesised());
    if (this.#skip('[')) return this.#nested(() => this.#items(']'));
    if (this.#skip('{')) return this.#nested(() => this.#dict());
    const string = this.#strings();
    if (string !== undefined) return string;
    const name = this.#take(NAME);
    if (name === 'None') return null;
    if (name === 'True' || name === 'False') return name === 'True';
    if (name) throw new NotALiteral();
    return this.#number();
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new NotALiteral();
    const value = read();
    this.#depth--;
    return value;
  }

  /** Reads a tuple, or one value in brackets, after `(`. */
  #parenthesised(): PyValue {
    this.#take(BLANK_LINES);
    if (this.#skip(')')) return new PyTuple([]);
    const first = this.#value();
    this.#take(BLANK_LINES);
    if (this.#skip(')')) return first;
    this.#expect(',');
    return new PyTuple([first, ...this.#items(')')]);
  }

  /** Reads values separated by commas, with an optional last comma, up to `end` ('' is the end of the text). */
  #items(end: string): PyValue[] {
    const items: PyValue[] = [];
    for (;;) {
      this.#take(this.#depth ? BLANK_LINES : BLANKS);
      if (this.#ends(end)) return items;
      items.push(this.#value());
      this.#take(this.#depth ? BLANK_LINES : BLANKS);
      if (this.#ends(end)) return items;
      this.#expect(',');
    }
  }

  #ends(end: string): boolean {
    if (end) return this.#skip(end);
    const rest = this.#at;
    this.#take(BLANK_LINES);
    if (this.#at === this.text.length) return true;
    this.#at = rest;
    return false;
  }

  #dict(): PyValue {
    const dict = new Map<PyValue, PyValue>();
    for (;;) {
      this.#take(BLANK_LINES);
      if (this.#skip('}')) return dict;
      const key = this.#value();
      this.#take(BLANK_LINES);
      this.#expect(':');
      dict.set(key, this.#value());
      this.#take(BLANK_LINES);
      if (this.#skip('}')) return dict;
      this.#expect(',');
    }
  }

  #number(): PyValue {
    const sign = this.#take(SIGN);
    if (sign) this.#take(this.#depth ? BLANK_LINES : BLANKS);
    const float = this.#take(FLOAT);
    const digits = float || this.#take(INT);
    if (!digits || this.#take(NAME)) throw new NotALiteral();
    const plain = digits.replaceAll('_', '');
    if (float) return new PyFloat(sign === '-' ? -Number(plain) : Number(plain));
    if (plain.length > MAX_DIGITS) throw new NotALiteral();
    const big = sign === '-' ? -BigInt(plain) : BigInt(plain);
    return Number.isSafeInteger(Number(big)) ? Number(big) : big;
  }

  /** Reads one string, or adjacent strings, which count as one. */
  #strings(): string | undefined {
    let whole: string | undefined;
    for (;;) {
      const before = this.#at;
      const start = this.#match(STRING_START);
      if (!start) {
        this.#at = before;
        return whole;
      }
      whole = (whole ?? '') + this.#string(start[2], start[1].toLowerCase() === 'r');
      this.#take(this.#depth ? BLANK_LINES : BLANKS);
    }
  }

  #string(quote: string, raw: boolean): string {
    let out = '';
    while (this.#at < this.text.length) {
      if (this.#skip(quote)) return out;
      const char = this.text[this.#at++];
      if (char === '\0' || ((char === '\n' || char === '\r') && quote.length === 1)) throw new NotALiteral();
      if (char !== '\\') out += char;
      else if (raw) out += char + (this.text[this.#at++] ?? '');
      else out += this.#escape();
    }
    throw new NotALiteral();
  }

  /** Reads the characters after a backslash and returns their meaning. */
  #escape(): string {
    const char = this.text[this.#at++];
    switch (char) {
      case undefined:
      case 'N':
        throw new NotALiteral();
      case '\n':
        return '';
      case 'x':
        return this.#codePoint(2);
      case 'u':
        return this.#codePoint(4);
      case 'U':
        return this.#codePoint(8);
    }
    const octal = /[0-7]{1,3}/y;
    this.#at--;
    const digits = this.#take(octal);
    if (digits) return String.fromCodePoint(Number.parseInt(digits, 8));
    this.#at++;
    return ESCAPES[char] ?? `\\${char}`;
  }

  #codePoint(length: number): string {
    const digits = this.text.slice(this.#at, this.#at + length);
    this.#at += length;
    const code =
      /^[\da-fA-F]+$/.test(digits) && digits.length === length ? Number.parseInt(digits, 16) : Infinity;
    if (code > 0x10ffff) throw new NotALiteral();
    return String.fromCodePoint(code);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }

  /** Takes the text that a sticky pattern matches here; '' if it does not match. */
  #take(pattern: RegExp): string {
    return this.#match(pattern)?.[0] ?? '';
  }

  #skip(token: string): boolean {
    if (!this.text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #expect(token: string): void {
    if (!this.#skip(token)) throw new NotALiteral();
  }
}

const ESCAPES: Record<string, string> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** A value as Python would print it; plain objects print as dicts. */
export function formatPythonLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return Number.isInteger(value) ? formatInteger(value) : formatFloat(value);
  if (typeof value === 'string') return formatString(value);
  if (value instanceof PyFloat) return formatFloat(value.value);
  if (value instanceof PyOpaque) return `<${value.className}>`;
  if (Array.isArray(value)) return `[${value.map(formatPythonLiteral).join(', ')}]`;
  if (value instanceof PyTuple) {
    const items = value.items.map(formatPythonLiteral);
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, item]) => `${formatPythonLiteral(key)}: ${formatPythonLiteral(item)}`).join(', ')}}`;
}

function formatInteger(value: number): string {
  return Object.is(value, -0) ? '0' : String(BigInt(value));
}

/** The shortest digits that read back as the same number, always recognizable as a float: `1.0`, `1.0e-05`. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  // Python writes exponents below 1e-4 and from 1e16 on.
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e16) ? value.toExponential() : String(value);
  const [digits, exponent] = text.split('e');
  const mantissa = digits.includes('.') ? digits : `${digits}.0`;
  if (exponent === undefined) return mantissa;
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}

function formatString(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  let out = '';
  for (const char of value) {
    const code = char.codePointAt(0)!;
    if (char === '\\' || char === quote) out += `\\${char}`;
    else if (char === '\n') out += '\\n';
    else if (char === '\r') out += '\\r';
    else if (char === '\t') out += '\\t';
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code >= 0xd800 && code < 0xe000) out += `\\u${code.toString(16)}`;
    else out += char;
  }
  return quote + out + quote;
}
