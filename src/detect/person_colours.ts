/** @file Colours that stay with a person from one key frame to the next. */
import { COLOURS, intersectionOverUnion } from '../drawing/colours.js';
import type { Rect } from '../drawing/layout.js';

/** Minimum overlap (intersection over union) of a person's boxes at two consecutive key frames. */
const MIN_OVERLAP = 0.3;

/**
 * Gives the people of each key frame their colours. A person whose box overlaps with a box of the previous key frame keeps the
 * colour of that box; the pairs with the largest overlap come first. All others get the next colour that is not in the image.
 */
export class PersonColours {
  #before: { readonly rect: Rect; readonly colour: number }[] = [];
  #next = 0;

  /** Indices of the colours of the boxes (x1, y1, x2, y2), for the next key frame. */
  assign(boxes: readonly ArrayLike<number>[]): number[] {
    const rects = boxes.map((box) => ({ x1: box[0], y1: box[1], x2: box[2], y2: box[3] }));
    const colours = this.#kept(rects);
    rects.forEach((_, i) => {
      colours[i] ??= this.#unused(new Set(colours));
    });
    const all = colours as number[];
    this.#before = rects.map((rect, i) => ({ rect, colour: all[i] }));
    return all;
  }

  #kept(rects: readonly Rect[]): (number | undefined)[] {
    const pairs = rects
      .flatMap((rect, i) =>
        this.#before.map((before, j) => ({ i, j, overlap: intersectionOverUnion(rect, before.rect) })),
      )
      .filter(({ overlap }) => overlap >= MIN_OVERLAP)
      .sort((a, b) => b.overlap - a.overlap);
    const colours: (number | undefined)[] = rects.map(() => undefined);
    const taken = new Set<number>();
    for (const { i, j } of pairs) {
      if (colours[i] !== undefined || taken.has(j)) continue;
      colours[i] = this.#before[j].colour;
      taken.add(j);
    }
    return colours;
  }

  #unused(used: ReadonlySet<number | undefined>): number {
    for (let tried = 0; tried < COLOURS && used.has(this.#next); tried++) this.#advance();
    const colour = this.#next;
    this.#advance();
    return colour;
  }

  #advance(): void {
    this.#next = (this.#next + 1) % COLOURS;
  }
}
