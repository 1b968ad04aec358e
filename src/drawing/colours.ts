/** @file Colours of people: bright, distinct, and readable on the dark plates of labels. */
import { overlapArea, type Rect } from './layout.js';
import type { DrawnBox } from './types.js';

const PALETTE = [
  '#ffd23f',
  '#3ec1ff',
  '#ff6b6b',
  '#5fe07a',
  '#ff8ad8',
  '#ff9f43',
  '#b597ff',
  '#2ee6d6',
  '#c9ec4a',
  '#ffffff',
];

/** The colour with an index; there are more people than colours at times. */
export function colourOf(index: number): string {
  return PALETTE[index % PALETTE.length];
}

/** Minimum overlap of a detection and a true box of the same person. */
const SAME_PERSON = 0.5;

export function intersectionOverUnion(a: Rect, b: Rect): number {
  const area = ({ x1, y1, x2, y2 }: Rect) => Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
  const both = overlapArea(a, b);
  return both === 0 ? 0 : both / (area(a) + area(b) - both);
}

/** Number of colours. */
export const COLOURS = PALETTE.length;

/** The colour of each box; a true box and its detection share one. */
export function coloursOf(boxes: readonly DrawnBox[], rects: readonly Rect[]): string[] {
  const colours: (string | undefined)[] = boxes.map(() => undefined);
  const partnered = new Set<number>();
  let next = 0;
  boxes.forEach(({ kind, colour }, i) => {
    if (colour !== undefined) {
      colours[i] = colourOf(colour);
      return;
    }
    let partner = -1;
    let best = SAME_PERSON;
    for (let j = 0; j < i; j++) {
      if (boxes[j].kind === kind || partnered.has(j)) continue;
      const overlap = intersectionOverUnion(rects[i], rects[j]);
      if (overlap >= best) [partner, best] = [j, overlap];
    }
    if (partner >= 0) partnered.add(partner);
    colours[i] = partner >= 0 ? colours[partner] : colourOf(next++);
  });
  return colours as string[];
}
