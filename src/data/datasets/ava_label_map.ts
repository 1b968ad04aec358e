/** @file Whether a label map is that of AVA. */
import type { ActionLabel } from './label_map.js';

/** The number of AVA's classes; 60 of them are evaluated. */
export const AVA_CLASSES = 80;

/** Some of AVA's classes: id → name. */
const KNOWN = new Map([
  [1, 'bend/bow (at the waist)'],
  [8, 'lie/sleep'],
  [10, 'run/jog'],
  [11, 'sit'],
  [12, 'stand'],
  [14, 'walk'],
  [80, 'watch (a person)'],
]);

/** Number of names that must be right; versions of the list may spell some in another way. */
const ENOUGH = 5;

export function isAvaLabelMap(labels: readonly ActionLabel[]): boolean {
  const names = new Map(labels.map(({ id, name }) => [id, name]));
  return [...KNOWN].filter(([id, name]) => names.get(id) === name).length >= ENOUGH;
}
