/** @file How much memory this process has, and may still take. */
import { freemem } from 'node:os';
import { memoryLeft, type Read } from './cgroups.js';

/** Bytes that are left, within the limits of all control groups. `read` is for tests. */
export function availableMemory(read?: Read): number {
  // Node has had this since 20.13; without /proc it is 0.
  const free = process.availableMemory?.() || freemem();
  return Math.min(free, memoryLeft(read)?.value ?? free);
}

/** Bytes of main memory that this process holds; without /proc the most that it has held so far. */
export function residentMemory(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
