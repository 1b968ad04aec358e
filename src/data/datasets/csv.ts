/** @file Csv lists without a header, as AVA publishes them: fields, numbers, and what is wrong with a list as a whole. */
import { quote } from '../problems.js';

/**
 * The fields of a line; quotes as Python's csv module writes them. Blanks around a quoted field are dropped. A line that is
 * quoted as a whole, as some spreadsheets write it, is split like one without these quotes.
 */
export function splitCsv(line: string): string[] {
  if (!line.includes('"')) return line.split(',');
  const fields = quotedFields(line);
  return fields.length === 1 && fields[0].includes(',') && /^\s*"/.test(line)
    ? quotedFields(fields[0])
    : fields;
}

function quotedFields(line: string): string[] {
  return [...`,${line}`.matchAll(/,(?:\s*"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? plain : quoted.replaceAll('""', '"'),
  );
}

/** A text as one field of a line, quoted if necessary. */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A finite decimal number as Python's float() reads it, or NaN; JavaScript's Number() also reads '' and '0x10'. */
export function parseDecimal(text: string): number {
  const trimmed = text.trim();
  if (trimmed === '' || /^0[box]/i.test(trimmed)) return Number.NaN;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : Number.NaN;
}

const NUMBER = /^[+-]?(?:\d+[.,]?\d*|[.,]\d+|nan|inf(?:inity)?)(?:e[+-]?\d+)?$/i;

function fieldsBetween(separator: string | RegExp, line: string): string[] {
  return line
    .trim()
    .split(separator)
    .map((field) => field.trim().replace(/^(["'])(.*)\1$/, '$2'));
}

/** Whether a field is the name of the column with the seconds. */
function namesSecond(field: string): boolean {
  return /sec|time|frame/i.test(field);
}

/**
 * Says that an unreadable line looks like a header; null if it does not. On the first line any words may be a header; on other
 * lines the second column must be named like a time.
 */
export function headerProblem(line: string, lineNumber: number): string | null {
  const [video, second, ...others] = fieldsBetween(',', line);
  if (!video || !second || [second, ...others].some((field) => NUMBER.test(field))) return null;
  if (lineNumber !== 1 && !namesSecond(second)) return null;
  return `the line looks like a header: ${quote(line)}; remove it, because AVA's files have none`;
}

const SEPARATORS: readonly (readonly [string, string | RegExp])[] = [
  ['";"', ';'],
  ['tabs', '\t'],
  ['"|"', '|'],
  ['spaces', /\s+/],
];

/**
 * Names the separator of an unreadable line if it is not a comma; null if it is unknown. `counts` are the numbers of columns that a
 * line may have; the second column holds seconds.
 */
export function separatorProblem(line: string, counts: readonly number[]): string | null {
  if (/^\s*"?sep=.?"?\s*$/i.test(line))
    return `the file begins with ${quote(line.trim())}, a line for spreadsheets; remove it, and separate columns by commas`;
  if (counts.includes(fieldsBetween(',', line).length)) return null;
  for (const [name, separator] of SEPARATORS) {
    const fields = fieldsBetween(separator, line);
    if (!counts.includes(fields.length) || !(NUMBER.test(fields[1]) || namesSecond(fields[1]))) continue;
    const decimalCommas = fields.slice(1).some((field) => field.includes(',') && NUMBER.test(field));
    return (
      `columns are separated by ${name} instead of commas` +
      (decimalCommas
        ? ', and numbers have commas instead of points; write the file again with commas between columns and points in numbers'
        : '; write the file again with commas')
    );
  }
  return null;
}

/** What to do with a problem of a row; `kind` is known to the caller. */
type Report<K> = (message: string, kind: K) => void;

/**
 * Collects the problems of a file's rows. As long as no row could be read, they are held back: if none can, the file is something
 * else, which is reported once and not for every row.
 */
export class RowProblems<K> {
  readonly #held: { line: number; message: string; kind: K }[] = [];
  #bad = 0;
  #hasGoodRow = false;

  constructor(
    private readonly file: string,
    private readonly report: Report<K>,
  ) {}

  /** Whether a row could be read. */
  get hasGoodRow(): boolean {
    return this.#hasGoodRow;
  }

  /** Notes a row that could be read. */
  good(): void {
    if (this.#hasGoodRow) return;
    this.#hasGoodRow = true;
    this.#flush();
  }

  /** `isWrong` says that all rows of a wrong file may have this problem. Any other problem shows that the file is the right one. */
  add(line: number, message: string, kind: K, isWrong: boolean): void {
    if (!isWrong) this.good();
    if (this.#hasGoodRow) {
      this.report(`${this.file}:${line}: ${message}`, kind);
      return;
    }
    this.#bad++;
    if (this.#held.length < HELD) this.#held.push({ line, message, kind });
  }

  /** Reports what is held back. */
  finish(): void {
    const [first] = this.#held;
    if (this.#hasGoodRow || this.#bad < MANY) this.#flush();
    else
      this.report(
        `${this.file}: none of its ${this.#bad} rows can be read; the first of them, line ${first.line}: ${first.message}`,
        first.kind,
      );
  }

  #flush(): void {
    for (const { line, message, kind } of this.#held.splice(0))
      this.report(`${this.file}:${line}: ${message}`, kind);
  }
}

/** Number of problems that are kept until it is known whether the file has good rows. */
const HELD = 1000;
/** Minimum number of bad rows with which a file without a good row is reported as a whole. */
const MANY = 4;
