/** @file The times and action ids of all annotation rows of a split, also of those that are skipped. */
import type { Config } from '../../config/index.js';
import type { AnnotationRow, RowUse } from '../../data/datasets/ava_annotations.js';
import type { FrameLists } from '../../data/datasets/frame_lists.js';
import { frameOf, type TimeBase, timeBaseOf } from '../../data/time.js';

export class RowTimes {
  #rows = 0;
  #early = 0;
  /** The first and the last time. */
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  /** Video → times after AVA.LAST_SECOND. */
  readonly #late = new Map<string, Set<number>>();
  /** The highest action id. */
  maxId = 0;

  readonly #base: TimeBase;

  constructor({ AVA }: Pick<Config, 'AVA'>) {
    this.#base = timeBaseOf(AVA);
  }

  add({ video, second, label }: AnnotationRow, use: RowUse): void {
    this.#rows++;
    this.min = Math.min(this.min, second);
    this.max = Math.max(this.max, second);
    this.maxId = Math.max(this.maxId, label ?? 0);
    if (use !== 'outside') return;
    if (second < this.#base.firstKeyFrame) this.#early++;
    else this.#late.set(video, (this.#late.get(video) ?? new Set()).add(second));
  }

  /** The time of the first frame: the configured one, unless most rows lie before it. */
  get firstSecond(): number {
    const { first } = this.#base;
    if (2 * this.#early <= this.#rows || this.min >= first) return first;
    return Math.min(0, Math.floor(this.min));
  }

  /** The last time that a key frame has within its video, or AVA.LAST_SECOND if that is later. */
  lastSecond(first: number, { videos }: FrameLists): number {
    const { fps } = this.#base;
    let { last } = this.#base;
    for (const { name, frames } of videos) {
      for (const second of this.#late.get(name) ?? []) {
        if (frameOf(second, { first, fps }) < frames.length) last = Math.max(last, Math.ceil(second));
      }
    }
    return last;
  }
}
