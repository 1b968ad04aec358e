/** @file What can be drawn on a picture. */

/** A person's box with its labels. */
export interface DrawnBox {
  /** x1, y1, x2, y2 as fractions of the picture. */
  readonly box: ArrayLike<number>;
  /** One short line per action, such as `walk 0.92`. */
  readonly labels: readonly string[];
  /** Ground truth is drawn dashed, detections solid. */
  readonly kind: 'truth' | 'detection';
}
