/** @file Splits large operations into chunks that stay in the cache. */

/** Sizes of the fewest chunks of at most `maxSize` that `count` items can be split into, all as equal as possible. */
export function splitEvenly(count: number, maxSize: number): number[] {
  const chunks = Math.max(1, Math.ceil(count / Math.max(1, Math.floor(maxSize))));
  return Array.from(
    { length: chunks },
    (_, i) => Math.floor(((i + 1) * count) / chunks) - Math.floor((i * count) / chunks),
  );
}
