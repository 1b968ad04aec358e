/** @file The times and action ids of all annotation rows of a split, also of those that are skipped. */
import type { Config } from '../../config/index.js';
import type { AnnotationRow } from '../../data/datasets/ava_annotations.js';
import type { FrameLists } from '../../data/datasets/frame_lists.js';
import { frameOf, isInRange, timeBaseOf } from '../../data/time.js';

export class RowTimes {
  #rows = 0;
  #early = 0;
  #min = Number.POSITIVE_INFINITY;
  /** Video → times after AVA.LAST_SECOND. */
  readonly #late = new Map<string, Set<number>>();
  /** The highest action id. */
  maxId = 0;

  constructor(private readonly cfg: Pick<Config, 'AVA'>) {}

  add({ video, second, label }: AnnotationRow): void {
    const base = timeBaseOf(this.cfg.AVA);
    this.#rows++;
    this.#min = Math.min(this.#min, second);
    this.maxId = Math.max(this.maxId, label ?? 0);
    if (isInRange(second, base)) return;
    if (second < base.firstKeyFrame) this.#early++;
    else this.#late.set(video, (this.#late.get(video) ?? new Set()).add(second));
  }

  /** The time of the first frame: the configured one, unless most rows lie before it. */
  get firstSecond(): number {
    const { FIRST_SECOND } = this.cfg.AVA;
    if (2 * this.#early <= this.#rows || this.#min >= FIRST_SECOND) return FIRST_SECOND;
    return Math.min(0, Math.floor(this.#min));
  }

  /** The last time that a key frame has within its video, or AVA.LAST_SECOND if that is later. */
  lastSecond(first: number, { videos }: FrameLists): number {
    const { FPS: fps, LAST_SECOND } = this.cfg.AVA;
    let last = LAST_SECOND;
    for (const { name, frames } of videos) {
      for (const second of this.#late.get(name) ?? []) {
        if (frameOf(second, { first, fps }) < frames.length) last = Math.max(last, Math.ceil(second));
      }
    }
    return last;
  }
}
