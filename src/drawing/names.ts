/** @file Names of classes as images show them, and those that no font can draw. */
import { canDraw } from './text.js';

const SHOWN = 5;

/** The name of a class, or its id, such as `#12`, if no font can draw the name. */
export function drawnName(id: number, name: string): string {
  return canDraw(name) ? name : `#${id}`;
}

/** A sentence about the names that no font can draw; null if there are none. */
export function undrawnNames(names: Iterable<readonly [id: number, name: string]>): string | null {
  const undrawn = [...names].filter(([, name]) => !canDraw(name));
  if (undrawn.length === 0) return null;
  const shown = undrawn.slice(0, SHOWN);
  const more = undrawn.length > SHOWN ? ` and ${undrawn.length - SHOWN} more` : '';
  const list = (texts: readonly string[]) => texts.join(', ') + more;
  return (
    `no font has the characters of ${list(shown.map(([, name]) => JSON.stringify(name)))}: ` +
    `images show ${list(shown.map(([id]) => `#${id}`))} instead`
  );
}

/** The same sentence for commands with `--font`. */
export function undrawnNamesHint(names: Iterable<readonly [id: number, name: string]>): string | null {
  const sentence = undrawnNames(names);
  return sentence && `${sentence}; give a font that has them: --font FILE`;
}
