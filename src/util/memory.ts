/** @file Memory that this process uses and may still allocate. */
import { freemem } from 'node:os';
import { memoryLeft, type Read } from './cgroups.js';

/** Bytes that may still be allocated, within the limits of all control groups. Tests replace `read`. */
export function availableMemory(read?: Read): number {
  // Node has this function since 20.13. Without /proc it returns 0.
  const free = process.availableMemory?.() || freemem();
  return Math.min(free, memoryLeft(read)?.value ?? free);
}

/** Bytes of main memory that this process uses; without /proc, the maximum so far. */
export function residentMemory(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
