/** @file Series of numbers over iterations: thinning, smoothing, summaries. */

export interface Point {
  readonly x: number;
  readonly y: number | null;
}

/** Maximum number of points of a line in the report. */
const MAX_POINTS = 300;

/** Width of the smoothing window as a share of the points. */
const WINDOW_SHARE = 0.07;
/** Series with fewer points are not smoothed. */
const MIN_TO_SMOOTH = 20;

/** Replaces groups of neighbouring points by their means if there are more than `max` points; keeps the first point. */
export function thin(points: readonly Point[], max = MAX_POINTS): Point[] {
  if (points.length <= max) return [...points];
  const size = Math.ceil((points.length - 1) / (max - 1));
  const result = [points[0]];
  for (let i = 1; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    // Each mean lies at the end of its group, so that the curve reaches the last iteration.
    result.push({ x: group[group.length - 1].x, y: mean(group.map(({ y }) => y)) });
  }
  return result;
}

/**
 * Smooths a series by LOESS (Cleveland 1979, one pass): each value becomes that of a straight line fitted to its neighbours,
 * near ones weighing more. Unlike a moving average, it neither lags nor flattens the ends. Returns the known points
 * unchanged if they are few.
 */
export function smooth(points: readonly Point[]): Point[] {
  const known = points.filter((point): point is { x: number; y: number } => point.y !== null);
  if (known.length < MIN_TO_SMOOTH) return known;
  const count = Math.max(7, Math.round(known.length * WINDOW_SHARE));
  let first = 0;
  return known.map(({ x }, i) => {
    while (first + count < known.length && known[first + count].x - x < x - known[first].x) first++;
    // At the start, where a loss falls fastest, the window reaches no farther ahead than back.
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

/** The mean of the known numbers; null if there are none. */
export function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** The value below which `share` of the known numbers lie; null if there are none. */
export function quantile(values: readonly (number | null)[], share: number): number | null {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  return known.length > 0 ? known[Math.round((known.length - 1) * share)] : null;
}
