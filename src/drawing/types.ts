/** @file Boxes to draw on an image. */

/** A person's box with its labels. */
export interface DrawnBox {
  /** x1, y1, x2, y2 as fractions of the image. */
  readonly box: ArrayLike<number>;
  /** One short line per action, such as `walk 0.92`. */
  readonly labels: readonly string[];
  /** `truth` (ground truth) is drawn dashed, `detection` solid. */
  readonly kind: 'truth' | 'detection';
  /** Index of the person's colour; by default, people get colours in the order of their boxes. */
  readonly colour?: number;
}
