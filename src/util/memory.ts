/** @file How much memory this process may still take. */
import { freemem } from 'node:os';

/** Bytes that are left, within the limits of a container. */
export function availableMemory(): number {
  // Node has had this since 20.13.
  return process.availableMemory?.() ?? freemem();
}
