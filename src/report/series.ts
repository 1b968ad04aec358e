/** @file Numbers over iterations: thinned to what a plot can show, smoothed, summarised. */

export interface Point {
  readonly x: number;
  readonly y: number | null;
}

/** As many points as a line in a report has at most. */
export const MAX_POINTS = 300;

/** Width of the window that smooths, as a share of the points, and the fewest points worth smoothing. */
const WINDOW_SHARE = 0.07;
const MIN_TO_SMOOTH = 20;

/** Neighbouring points in groups of equal size, each group as its mean; the first point stays as it is. */
export function thin(points: readonly Point[], most = MAX_POINTS): Point[] {
  if (points.length <= most) return [...points];
  const size = Math.ceil((points.length - 1) / (most - 1));
  const result = [points[0]];
  for (let i = 1; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    // The end of a group stands for it, so that a curve reaches from the first to the last iteration.
    result.push({ x: group[group.length - 1].x, y: mean(group.map(({ y }) => y)) });
  }
  return result;
}

/**
 * A line through noise: at each point the straight line that fits its nearest neighbours best, near ones counting more
 * (Cleveland's LOESS, one pass). Unlike a moving average it neither lags nor flattens the ends. Few points stay as they
 * are.
 */
export function smooth(points: readonly Point[]): Point[] {
  const known = points.filter((point): point is { x: number; y: number } => point.y !== null);
  if (known.length < MIN_TO_SMOOTH) return known;
  const count = Math.max(7, Math.round(known.length * WINDOW_SHARE));
  let first = 0;
  return known.map(({ x }, i) => {
    while (first + count < known.length && known[first + count].x - x < x - known[first].x) first++;
    // At the beginning, where a loss falls fastest, the window reaches no farther ahead than back.
    const window = known.slice(first, first + Math.min(count, 2 * i + 3));
    const reach = Math.max(x - window[0].x, window[window.length - 1].x - x) * 1.001;
    let [w0, w1, w2, wy, wxy] = [0, 0, 0, 0, 0];
    for (const neighbour of window) {
      const d = neighbour.x - x;
      const w = (1 - Math.abs(d / reach) ** 3) ** 3;
      w0 += w;
      w1 += w * d;
      w2 += w * d * d;
      wy += w * neighbour.y;
      wxy += w * d * neighbour.y;
    }
    const determinant = w0 * w2 - w1 * w1;
    return { x, y: determinant > 0 ? (w2 * wy - w1 * wxy) / determinant : wy / w0 };
  });
}

/** The mean of the numbers, null where there is none. */
export function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** The value below which a share of the numbers lies; null where there is none. */
export function quantile(values: readonly (number | null)[], share: number): number | null {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  return known.length > 0 ? known[Math.round((known.length - 1) * share)] : null;
}
