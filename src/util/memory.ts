/** @file How much memory this process has, and may still take. */
import { freemem } from 'node:os';

/** Bytes that are left, within the limits of a container. */
export function availableMemory(): number {
  // Node has had this since 20.13; without /proc it is 0.
  return process.availableMemory?.() || freemem();
}

/** Bytes of main memory that this process holds; without /proc the most that it has held so far. */
export function residentMemory(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
