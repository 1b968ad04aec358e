/** @file Plans on disk, so that the next process need not compile their kernels. */
import { createHash } from 'node:crypto';

export interface CachedPlan {
  /** cuDNN's text of the plan, which holds its kernels. */
  readonly plan: string;
  /** Names of cuDNN's notes on the engine's numbers. */
  readonly notes: readonly string[];
}

/** Files by names. A damaged file counts as missing, and what cannot be written is not kept. */
export interface CacheFiles {
  read(name: string): Uint8Array | null;
  write(name: string, content: Uint8Array): void;
}

/** Keeps plans under texts that say everything on which a plan depends. */
export class PlanCache {
  constructor(private readonly files: CacheFiles) {}

  /** The plan that was kept under `key`; null if there is none. */
  read(key: string): CachedPlan | null {
    const content = this.files.read(nameOf(key));
    if (!content) return null;
    const entry = JSON.parse(new TextDecoder().decode(content));
    return entry.key === key ? { plan: entry.plan, notes: entry.notes } : null;
  }

  write(key: string, { plan, notes }: CachedPlan): void {
    this.files.write(nameOf(key), new TextEncoder().encode(JSON.stringify({ key, notes, plan })));
  }
}

const nameOf = (key: string) => `cudnn-${createHash('sha256').update(key).digest('hex')}`;
