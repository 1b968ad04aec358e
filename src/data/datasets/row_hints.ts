/** @file What to do about values in csv rows that are written in the form of another program. */

/** A time of day or of a video: h:mm:ss or m:ss. */
const CLOCK = /^(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$/;
/** Quotes, or the sign of a formula, with which spreadsheets mark a number as text. */
const MARKED = /^[='"‘’“”]/;

/** What to do about a second that is not a number; begins with `; `, or is empty. */
export function secondHint(text: string): string {
  const clock = CLOCK.exec(text.trim());
  if (clock) {
    const [, hours = '0', minutes, seconds] = clock;
    const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
    return `; write the time in seconds, here ${total}`;
  }
  return MARKED.test(text.trim()) ? '; remove the quotes and "=" around numbers' : '';
}

/** What to do about an invalid box; begins with `; `, or is empty. Coordinates above `max` cannot be fractions. */
export function boxHint([x1, y1, x2, y2]: readonly [number, number, number, number], max: number): string {
  if (Math.max(x1, y1, x2, y2) > max)
    return '; divide pixels by the width or height of the image, and percent by 100';
  return x2 < x1 || y2 < y1 ? '; columns 3 to 6 are two corners, not a corner with width and height' : '';
}

/** What to do about an action id that is not a whole number from 1; begins with `; `, or is empty. */
export function actionHint(text: string): string {
  if (/^\s*0+(?:\.0*)?\s*$/.test(text)) return '; ids count from 1: if yours count from 0, add 1 to each';
  if (/\d\s*[,;|/ ]\s*\d/.test(text)) return '; write one row for each action';
  return /\p{L}/u.test(text) ? '; write the id that the label map has for it' : '';
}

/** What to do about a row with a wrong number of columns; begins with `; `, or is empty. */
export function columnsHint(fields: readonly string[]): string {
  const isNumber = (field: string | undefined) => field !== undefined && /^\s*-?\d/.test(field);
  if (fields[0].trimStart().startsWith('#')) return '; remove comments';
  if (fields[0].trimStart().startsWith('<'))
    return '; this looks like XML: stmixer data import reads annotations of other programs';
  if (/^\s*\d*\s*$/.test(fields[0]) && !isNumber(fields[1]) && isNumber(fields[2]))
    return '; remove the first column, which counts the rows';
  return '';
}
