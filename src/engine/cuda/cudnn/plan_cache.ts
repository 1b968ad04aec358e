/** @file Plans on disk, so that the next process need not compile their kernels. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CachedPlan {
  /** cuDNN's text of the plan. */
  readonly plan: string;
  readonly notes: readonly string[];
}

/** A folder with a file for each plan. A folder that cannot be written to is a cache that stays empty. */
export class PlanCache {
  constructor(private readonly folder: string) {}

  /** The plan that was kept under `key`; null if there is none, or the file is damaged. */
  read(key: string): CachedPlan | null {
    try {
      const entry = JSON.parse(readFileSync(this.#path(key), 'utf8'));
      const isWhole =
        entry.key === key &&
        typeof entry.plan === 'string' &&
        entry.digest === digest(entry.plan) &&
        Array.isArray(entry.notes);
      return isWhole ? { plan: entry.plan, notes: entry.notes } : null;
    } catch {
      return null;
    }
  }

  write(key: string, { plan, notes }: CachedPlan): void {
    const path = this.#path(key);
    // Several processes may write the same plan.
    const temporary = `${path}.${randomUUID()}`;
    try {
      mkdirSync(this.folder, { recursive: true });
      writeFileSync(temporary, JSON.stringify({ key, digest: digest(plan), notes, plan }));
      renameSync(temporary, path);
    } catch {
      if (existsSync(temporary)) rmSync(temporary);
    }
  }

  #path(key: string): string {
    return join(this.folder, `cudnn-${digest(key)}.json`);
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex');
