/** @file Feature maps in the graphs of kernels. */

/** A map [B, T, H, W, C], or a weight [O, I, t, h, w], in a graph. */
export interface FeatureMap {
  readonly name: string;
  readonly shape: readonly number[];
}
