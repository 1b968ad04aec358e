/** @file Whether a label map has the classes of AVA. */
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

/** Whether the ids of a label map, which may be a part of the list, are those of AVA. */
export function isAvaLabelMap(labels: readonly ActionLabel[]): boolean {
  const known = labels.filter(({ id }) => KNOWN.has(id));
  const right = known.filter(({ id, name }) => KNOWN.get(id) === name).length;
  // Versions of the list may spell some names in another way.
  return right >= 2 && 2 * right > known.length;
}
