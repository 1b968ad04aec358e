/** @file What is wrong with the form of a list as a whole: a header, or columns that are separated otherwise. */
import { quote } from '../text_lines.js';

const NUMBER = /^[+-]?(?:\d+[.,]?\d*|[.,]\d+|nan|inf(?:inity)?)(?:e[+-]?\d+)?$/i;

function fieldsOf(line: string, separator: string | RegExp): string[] {
  return line
    .trim()
    .split(separator)
    .map((field) => field.trim().replace(/^"(.*)"$/, '$1'));
}

/** Whether a field names the column of the seconds. */
function namesSecond(field: string): boolean {
  return /sec|time|frame/i.test(field);
}

/**
 * Says that a line of a list without a header, which could not be read, looks like one; null where it does not. Any words can
 * head the first line, other lines need a name for the second column.
 */
export function headerProblem(line: string, lineNumber: number): string | null {
  const [video, second, ...others] = fieldsOf(line, ',');
  if (!video || !second || [second, ...others].some((field) => NUMBER.test(field))) return null;
  if (lineNumber !== 1 && !namesSecond(second)) return null;
  return `the line looks like a header: ${quote(line)}; remove it, because AVA's files have none`;
}

const SEPARATORS: readonly (readonly [string, string | RegExp])[] = [
  ['";"', ';'],
  ['tabs', '\t'],
  ['"|"', '|'],
  ['blanks', /\s+/],
];

/**
 * Says how a line that could not be read separates its columns, of which a list has one of the `numbers`; null where they are
 * separated by commas, or by nothing known. The second column is a number of seconds.
 */
export function separatorProblem(line: string, numbers: readonly number[]): string | null {
  if (numbers.includes(fieldsOf(line, ',').length)) return null;
  for (const [name, separator] of SEPARATORS) {
    const fields = fieldsOf(line, separator);
    if (!numbers.includes(fields.length) || !(NUMBER.test(fields[1]) || namesSecond(fields[1]))) continue;
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
