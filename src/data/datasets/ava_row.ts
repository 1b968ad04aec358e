/** @file Rows of AVA's csv files: `video,second,x1,y1,x2,y2,action id[,person id or score]`. */
import { quote } from '../problems.js';
import { parseDecimal } from './csv.js';
import { actionHint, columnsHint, secondHint } from './row_hints.js';

export interface AvaRow {
  readonly video: string;
  /** May have a fraction. */
  readonly second: number;
  /** x1, y1, x2, y2. */
  readonly box: readonly [number, number, number, number];
  /** Action id; null for a person without an action. */
  readonly action: number | null;
  /** Text of the eighth column (a person id or a score), if there is one. */
  readonly last: string | undefined;
}

export interface AvaRowProblem {
  readonly kind: 'columns' | 'box' | 'label';
  readonly message: string;
}

/** Numbers of columns that a row may have. */
export const AVA_COLUMNS: readonly number[] = [7, 8];

const CORNERS = ['x1', 'y1', 'x2', 'y2'];

/** Parses the fields of a row. Numbers are finite, but boxes, seconds and ids may be out of range. */
export function parseAvaRow(fields: readonly string[]): AvaRow | AvaRowProblem {
  if (!AVA_COLUMNS.includes(fields.length)) {
    const message =
      'expected 7 or 8 columns separated by commas (video, second, x1, y1, x2, y2, action id, and a person id or a ' +
      `score), found ${fields.length}: ${quote(fields.join())}${columnsHint(fields)}`;
    return { kind: 'columns', message };
  }
  const second = parseDecimal(fields[1]);
  if (Number.isNaN(second))
    return {
      kind: 'columns',
      message: `the second must be a number, found ${quote(fields[1])}${secondHint(fields[1])}`,
    };
  const box: [number, number, number, number] = [0, 0, 0, 0];
  for (let i = 0; i < 4; i++) {
    box[i] = parseDecimal(fields[2 + i]);
    if (Number.isNaN(box[i]))
      return {
        kind: 'box',
        message: `${CORNERS[i]} must be a number from 0 to 1, found ${quote(fields[2 + i])}`,
      };
  }
  const text = fields[6].trim();
  const id = text === '' ? null : parseDecimal(text);
  if (id !== null && !Number.isInteger(id))
    return {
      kind: 'label',
      message: `the action id must be a whole number or empty, found ${quote(text)}${actionHint(text)}`,
    };
  // The official parser stores "no action" as -1, so a file may hold -1 as well as an empty column.
  return { video: fields[0], second, box, action: id === -1 ? null : id, last: fields[7] };
}
