/** @file How elements are stored in the memory of a GPU. */
import type { LazyDtype } from '../lazy/value.js';

/** A float32 tensor may be stored in bfloat16; booleans are bytes of 0 and 1. */
export type Storage = LazyDtype | 'bfloat16';

/** Bytes of an element. */
export const ELEMENT_BYTES: Readonly<Record<Storage, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
  bfloat16: 2,
};
