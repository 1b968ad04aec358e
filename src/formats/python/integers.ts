/** @file Python's integers, which have any size. */

/** The value as a plain number if that is exact. */
export function narrow(value: bigint): number | bigint {
  const plain = Number(value);
  return Number.isSafeInteger(plain) ? plain : value;
}
