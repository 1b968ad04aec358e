/** @file Problems of engines as text. */
import type { Problem } from './types.js';

/** What is wrong, with the remedy in parentheses. */
export function problemText({ what, remedy }: Problem): string {
  return `${what} (${remedy})`;
}
