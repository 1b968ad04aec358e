/**
 * @file A strict JSON parser for headers of files from anywhere: no name twice in an object, little nesting, bounded memory.
 *
 * Own code: JSON.parse takes the last of two equal names, and has no bounds.
 */

export type JsonValue = null | boolean | number | string | JsonValue[] | Map<string, JsonValue>;

const MAX_DEPTH = 8;
/** Maximum number of values. A tensor in a header takes 8 to 12. */
const MAX_VALUES = 2_000_000;

/**
 * Parses a text that is one JSON value. Objects become Maps in the text's order. Numbers with a fraction or an exponent
 * become NaN. Throws SyntaxError, which names the fault and its position.
 */
export function parseStrictJson(text: string): JsonValue {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  return value;
}

const LITERALS: [string, null | boolean][] = [
  ['null', null],
  ['true', true],
  ['false', false],
];

class Parser {
  #at = 0;
  #values = 0;

  constructor(private readonly text: string) {}

  value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) this.#fail('nested too deep');
    if (++this.#values > MAX_VALUES) this.#fail('too many values');
    this.#skipSpace();
    switch (this.text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#list(depth);
      case '"':
        return this.#string();
    }
    for (const [word, value] of LITERALS) {
      if (!this.text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.text.length) this.#fail('more after its end');
  }

  #object(depth: number): Map<string, JsonValue> {
    const object = new Map<string, JsonValue>();
    this.#items('}', () => {
      this.#skipSpace();
      const name = this.#string();
      if (object.has(name)) this.#fail(`the name ${JSON.stringify(name)} twice`);
      this.#expect(':');
      object.set(name, this.value(depth + 1));
    });
    return object;
  }

  #list(depth: number): JsonValue[] {
    const list: JsonValue[] = [];
    this.#items(']', () => list.push(this.value(depth + 1)));
    return list;
  }

  #items(close: string, item: () => void): void {
    this.#at++;
    this.#skipSpace();
    if (this.text[this.#at] === close) {
      this.#at++;
      return;
    }
    for (;;) {
      item();
      this.#skipSpace();
      if (this.text[this.#at] === close) {
        this.#at++;
        return;
      }
      this.#expect(',');
    }
  }

  #string(): string {
    const start = this.#at;
    if (this.text[start] !== '"') this.#fail('no string where one should be');
    for (let quote = start; ; ) {
      quote = this.text.indexOf('"', quote + 1);
      if (quote < 0) this.#fail('a string without end');
      let backslash = quote;
      while (this.text[backslash - 1] === '\\') backslash--;
      if ((quote - backslash) % 2) continue;
      this.#at = quote + 1;
      try {
        return JSON.parse(this.text.slice(start, this.#at));
      } catch {
        return this.#fail('a string with characters that it must not have');
      }
    }
  }

  #number(): number {
    const pattern = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
    pattern.lastIndex = this.#at;
    const [token, fraction, exponent] = pattern.exec(this.text) ?? this.#fail('no value where one should be');
    this.#at += token.length;
    return fraction || exponent ? Number.NaN : Number(token);
  }

  #expect(character: string): void {
    this.#skipSpace();
    if (this.text[this.#at] !== character) this.#fail(`no "${character}" where one should be`);
    this.#at++;
  }

  #skipSpace(): void {
    while (' \n\r\t'.includes(this.text[this.#at] || '.')) this.#at++;
  }

  #fail(why: string): never {
    throw new SyntaxError(`${why} (at character ${this.#at})`);
  }
}
