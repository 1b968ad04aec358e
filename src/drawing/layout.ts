/** @file Where labels go: near their box, inside the picture, off each other and off the people. */

/** Corners in pixels. */
export interface Rect {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

export interface PlateSize {
  readonly width: number;
  readonly height: number;
}

// What a position costs, per pixel of area and of distance. Text over text is unreadable, text over a head hides what
// the picture is about, and text on legs or far away is merely less nice.
const OVER_PLATE = 30;
const OVER_HEAD = 4;
const OVER_BODY = 1.5;
const AWAY = 8;

/** The upper part of a box that holds the head. */
const HEAD = 0.35;
/** How often all plates are placed anew, each knowing where the others are. */
const PASSES = 4;

export function overlapArea(a: Rect, b: Rect): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0;
}

/** The gap between two rectangles, 0 where they touch. */
function distance(a: Rect, b: Rect): number {
  const dx = Math.max(0, a.x1 - b.x2, b.x1 - a.x2);
  const dy = Math.max(0, a.y1 - b.y2, b.y1 - a.y2);
  return Math.hypot(dx, dy);
}

function headOf(box: Rect): Rect {
  return { ...box, y2: box.y1 + (box.y2 - box.y1) * HEAD };
}

/** Positions of a plate around its box, nearest first, each moved into the picture. */
function candidates(box: Rect, { width, height }: PlateSize, picture: PlateSize, gap: number): Rect[] {
  const at = (x: number, y: number): Rect => {
    const x1 = Math.max(0, Math.min(x, picture.width - width));
    const y1 = Math.max(0, Math.min(y, picture.height - height));
    return { x1, y1, x2: x1 + width, y2: y1 + height };
  };
  const found: Rect[] = [];
  const step = height / 2;
  for (let ring = 0; ring <= 12; ring++) {
    const away = gap + ring * step;
    const [left, right] = [box.x1 - away - width, box.x2 + away];
    const [top, bottom] = [box.y1 - away - height, box.y2 + away];
    // Above and below: flush left, flush right, centred, and sliding along with the ring.
    for (const x of [
      box.x1,
      box.x2 - width,
      (box.x1 + box.x2 - width) / 2,
      box.x1 - away,
      box.x2 + away - width,
    ]) {
      found.push(at(x, top), at(x, bottom));
    }
    for (const y of [
      box.y1,
      (box.y1 + box.y2 - height) / 2,
      box.y2 - height,
      box.y1 - away,
      box.y2 + away - height,
    ]) {
      found.push(at(left, y), at(right, y));
    }
    found.push(at(left, top), at(right, top), at(left, bottom), at(right, bottom));
  }
  found.push(at(box.x1, box.y1), at(box.x1, box.y2 - height));
  return found;
}

/**
 * A place for the plate of each box; null where a box has none. Greedy, then improved by placing each again: with the
 * few people of a picture that is as good as an exact search, and always the same.
 */
export function placePlates(
  boxes: readonly Rect[],
  sizes: readonly (PlateSize | null)[],
  picture: PlateSize,
  gap: number,
): (Rect | null)[] {
  const places: (Rect | null)[] = boxes.map(() => null);
  const cost = (place: Rect, owner: number) => {
    let sum = AWAY * Math.max(0, distance(place, boxes[owner]) - gap) * (place.y2 - place.y1);
    boxes.forEach((box, i) => {
      sum += OVER_BODY * overlapArea(place, box) + OVER_HEAD * overlapArea(place, headOf(box));
      const other = places[i];
      if (other && i !== owner) sum += OVER_PLATE * overlapArea(place, other);
    });
    return sum;
  };
  const options = boxes.map((box, i) => {
    const size = sizes[i];
    return size ? candidates(box, size, picture, gap) : [];
  });
  for (let pass = 0; pass < PASSES; pass++) {
    let moved = false;
    options.forEach((rects, i) => {
      let best = places[i];
      let lowest = best ? cost(best, i) : Number.POSITIVE_INFINITY;
      for (const rect of rects) {
        const value = cost(rect, i);
        if (value >= lowest) continue;
        [best, lowest, moved] = [rect, value, true];
      }
      places[i] = best;
    });
    if (!moved) break;
  }
  return places;
}
