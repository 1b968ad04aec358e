/** @file Layout of labels: near their box, inside the image, and not over each other or over people. */

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

// Costs of a position, per pixel of area and of distance. Text over text is unreadable, text over a head hides what
// matters, and text over legs or far away is merely less nice.
const OVER_PLATE = 30;
const OVER_HEAD = 4;
const OVER_BODY = 1.5;
const AWAY = 8;

/** Fraction of a box, from its top, that holds the head. */
const HEAD = 0.35;
/** Maximum number of rounds in which each plate is placed again, given the positions of the others. */
const MAX_ROUNDS = 4;

export function overlapArea(a: Rect, b: Rect): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0;
}

/** The distance between two rectangles, 0 if they touch. */
function distance(a: Rect, b: Rect): number {
  const dx = Math.max(0, a.x1 - b.x2, b.x1 - a.x2);
  const dy = Math.max(0, a.y1 - b.y2, b.y1 - a.y2);
  return Math.hypot(dx, dy);
}

function headOf(box: Rect): Rect {
  return { ...box, y2: box.y1 + (box.y2 - box.y1) * HEAD };
}

/** Positions of a plate around its box, nearest first, each moved into the image. */
function candidates(box: Rect, { width, height }: PlateSize, image: PlateSize, gap: number): Rect[] {
  const at = (x: number, y: number): Rect => {
    const x1 = Math.max(0, Math.min(x, image.width - width));
    const y1 = Math.max(0, Math.min(y, image.height - height));
    return { x1, y1, x2: x1 + width, y2: y1 + height };
  };
  const found: Rect[] = [];
  const step = height / 2;
  for (let ring = 0; ring <= 12; ring++) {
    const away = gap + ring * step;
    const [left, right] = [box.x1 - away - width, box.x2 + away];
    const [top, bottom] = [box.y1 - away - height, box.y2 + away];
    // Above and below the box: flush left, flush right, centred, and shifted with the ring.
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
 * Positions of the plates; null for a box without one. Plates are placed greedily, then each is placed again. For the few people
 * of an image that is as good as an exact search, and it is deterministic.
 */
export function placePlates(
  boxes: readonly Rect[],
  sizes: readonly (PlateSize | null)[],
  image: PlateSize,
  gap: number,
): (Rect | null)[] {
  const positions: (Rect | null)[] = boxes.map(() => null);
  const cost = (position: Rect, owner: number) => {
    let sum = AWAY * Math.max(0, distance(position, boxes[owner]) - gap) * (position.y2 - position.y1);
    boxes.forEach((box, i) => {
      sum += OVER_BODY * overlapArea(position, box) + OVER_HEAD * overlapArea(position, headOf(box));
      const other = positions[i];
      if (other && i !== owner) sum += OVER_PLATE * overlapArea(position, other);
    });
    return sum;
  };
  const options = boxes.map((box, i) => {
    const size = sizes[i];
    return size ? candidates(box, size, image, gap) : [];
  });
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let moved = false;
    options.forEach((rects, i) => {
      let best = positions[i];
      let lowest = best ? cost(best, i) : Number.POSITIVE_INFINITY;
      for (const rect of rects) {
        const value = cost(rect, i);
        if (value >= lowest) continue;
        [best, lowest, moved] = [rect, value, true];
      }
      positions[i] = best;
    });
    if (!moved) break;
  }
  return positions;
}
