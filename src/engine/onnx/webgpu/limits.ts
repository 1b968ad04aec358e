/** @file Sizes of the pieces that large operations are computed in on a GPU. */

/**
 * Bytes of a temporary that a kernel makes in pieces, such as scores. Every WebGPU device can bind buffers of twice this size,
 * and pieces of this size keep a GPU busy.
 */
export const PIECE_BYTES = 2 ** 26;
const FLOAT_BYTES = 4;

/** Returns how many items of `floats` numbers make a piece; at least 1. */
export function itemsPerPiece(floats: number): number {
  return Math.max(1, Math.floor(PIECE_BYTES / FLOAT_BYTES / floats));
}
