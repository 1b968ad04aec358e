/** @file Overlap of boxes given as corners (x1, y1, x2, y2), on the host. */

/** Guards the division if both boxes are empty. */
const AREA_EPS = 1e-6;

/** IoU and union of the boxes at a[i…i+3] and b[j…j+3]; the IoU is 0 if both are empty. */
export function iouAndUnion(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
): { iou: number; union: number } {
  const w = Math.max(0, Math.min(a[i + 2], b[j + 2]) - Math.max(a[i], b[j]));
  const h = Math.max(0, Math.min(a[i + 3], b[j + 3]) - Math.max(a[i + 1], b[j + 1]));
  const areaA = (a[i + 2] - a[i]) * (a[i + 3] - a[i + 1]);
  const areaB = (b[j + 2] - b[j]) * (b[j + 3] - b[j + 1]);
  const union = areaA + areaB - w * h;
  return { iou: (w * h) / Math.max(union, AREA_EPS), union };
}

/**
 * Generalised IoU of the boxes at a[i…i+3] and b[j…j+3] (Rezatofighi et al., 2019): IoU minus the share of the enclosing box
 * that neither box covers.
 */
export function generalizedIou(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number {
  const overlap = iouAndUnion(a, i, b, j);
  const w = Math.max(a[i + 2], b[j + 2]) - Math.min(a[i], b[j]);
  const h = Math.max(a[i + 3], b[j + 3]) - Math.min(a[i + 1], b[j + 1]);
  return overlap.iou - (w * h - overlap.union) / (w * h);
}

/**
 * Generalised IoU and its derivatives with respect to the four coordinates of the box at a[i…i+3]. As in PyTorch, two equal
 * edges get half of the derivative each, and an intersection of width 0 passes it on.
 */
export function generalizedIouGradient(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
): { value: number; gradient: number[] } {
  const axes = [0, 1].map((axis) => {
    const [a1, a2, b1, b2] = [a[i + axis], a[i + axis + 2], b[j + axis], b[j + axis + 2]];
    const width = Math.min(a2, b2) - Math.max(a1, b1);
    /** Derivatives of the later start and of the earlier end with respect to those of box a. */
    const [start, end] = [share(a1, b1), share(b2, a2)];
    const isInside = width >= 0 ? 1 : 0;
    return {
      size: a2 - a1,
      common: Math.max(0, width),
      around: Math.max(a2, b2) - Math.min(a1, b1),
      /** Derivatives of `common` and `around` with respect to the start and end of box a. */
      dCommon: [-start * isInside, end * isInside],
      dAround: [start - 1, 1 - end],
    };
  });
  const [x, y] = axes;
  const common = x.common * y.common;
  const areaB = (b[j + 2] - b[j]) * (b[j + 3] - b[j + 1]);
  const union = x.size * y.size + areaB - common;
  const around = x.around * y.around;
  const divisor = Math.max(union, AREA_EPS);
  const derivative = (axis: number, edge: number) => {
    const [own, other] = [axes[axis], axes[1 - axis]];
    const dCommon = own.dCommon[edge] * other.common;
    const dUnion = (edge === 0 ? -1 : 1) * other.size - dCommon;
    const dAround = own.dAround[edge] * other.around;
    const dIou = dCommon / divisor - (union > AREA_EPS ? (common * dUnion) / union ** 2 : 0);
    return dIou + dUnion / around - (union * dAround) / around ** 2;
  };
  return {
    value: generalizedIou(a, i, b, j),
    gradient: [derivative(0, 0), derivative(1, 0), derivative(0, 1), derivative(1, 1)],
  };
}

/** Derivative of max(p, q) with respect to p: 1 if p is larger, ½ if both are equal, else 0. */
function share(p: number, q: number): number {
  return (Math.sign(p - q) + 1) / 2;
}
