/** @file The frames of the slow pathway of a clip with two pathways. The fast pathway has all frames. */

/**
 * The frames of a clip of `numFrames` frames that the slow pathway sees: ⌊numFrames / alpha⌋ from the first to the last, as evenly
 * spaced as whole numbers allow. Like torch.linspace, this counts in float32 and from both ends, which moves some frames.
 */
export function slowFrames(numFrames: number, alpha: number): number[] {
  const { fround } = Math;
  const count = Math.floor(numFrames / alpha);
  if (count === 1) return [0];
  const last = numFrames - 1;
  const step = fround(last / (count - 1));
  return Array.from({ length: count }, (_, i) => {
    const place = i < count >> 1 ? fround(step * i) : fround(last - fround(step * (count - 1 - i)));
    return Math.trunc(place);
  });
}
