/** @file Summary of the rows in csv files of boxes, including rows that the evaluation leaves out. */
import { MAX_COORDINATE, MIN_COORDINATE } from '../data/datasets/ava_annotations.js';
import type { AvaRow } from '../data/datasets/ava_row.js';

/** Rows of one video. */
export interface VideoSummary {
  rows: number;
  /** The times of its key frames. */
  readonly seconds: Set<number>;
}

/** Stores data per video, key frame and id, but none per row, because files have millions of rows. */
export class RowSummary {
  readonly files: { path: string; rows: number }[] = [];
  readonly videos = new Map<string, VideoSummary>();
  /** Action id → number of its rows. */
  readonly ids = new Map<number, number>();
  rows = 0;
  /** Rows whose box has no area. */
  rowsWithoutArea = 0;
  /** Rows with a coordinate that is not a fraction of an image's size. */
  rowsBeyondImage = 0;
  /** Range of the coordinates along each axis. */
  minX = Number.POSITIVE_INFINITY;
  maxX = Number.NEGATIVE_INFINITY;
  minY = Number.POSITIVE_INFINITY;
  maxY = Number.NEGATIVE_INFINITY;
  rowsWithoutScore = 0;
  rowsWithScore = 0;
  /** Whether a score is not 0. */
  hasScores = false;
  /** Whether a score is not a whole number. */
  hasFractionAsScore = false;
  /** Rows of ground truth whose last column has a fraction, unlike a person id. */
  rowsWithFractionAsPerson = 0;

  #lastVideo = '';
  #lastEntry: VideoSummary | undefined;

  beginFile(path: string): void {
    this.files.push({ path, rows: 0 });
  }

  /** Adds a row; `second` is the time of its key frame. */
  add({ video, box, action }: AvaRow, second: number): void {
    this.rows++;
    this.files[this.files.length - 1].rows++;
    this.#addKeyFrame(video, second);
    this.#addBox(box);
    if (action !== null) this.ids.set(action, (this.ids.get(action) ?? 0) + 1);
  }

  addScore(score: number | null): void {
    if (score === null) {
      this.rowsWithoutScore++;
      return;
    }
    this.rowsWithScore++;
    if (score !== 0) this.hasScores = true;
    if (!this.hasFractionAsScore && !Number.isInteger(score)) this.hasFractionAsScore = true;
  }

  addPerson(text: string | undefined): void {
    // Most ids have no point, so they need no parsing.
    if (text?.includes('.') && Number(text) % 1 !== 0) this.rowsWithFractionAsPerson++;
  }

  #addKeyFrame(video: string, second: number): void {
    let entry = this.#lastEntry;
    if (entry === undefined || video !== this.#lastVideo) {
      entry = this.videos.get(video);
      if (!entry) {
        entry = { rows: 0, seconds: new Set() };
        this.videos.set(video, entry);
      }
      this.#lastVideo = video;
      this.#lastEntry = entry;
    }
    entry.rows++;
    entry.seconds.add(second);
  }

  #addBox([x1, y1, x2, y2]: AvaRow['box']): void {
    if (!(x1 < x2 && y1 < y2)) this.rowsWithoutArea++;
    const lowX = Math.min(x1, x2);
    const highX = Math.max(x1, x2);
    const lowY = Math.min(y1, y2);
    const highY = Math.max(y1, y2);
    if (lowX < this.minX) this.minX = lowX;
    if (highX > this.maxX) this.maxX = highX;
    if (lowY < this.minY) this.minY = lowY;
    if (highY > this.maxY) this.maxY = highY;
    if (Math.min(lowX, lowY) < MIN_COORDINATE || Math.max(highX, highY) > MAX_COORDINATE) {
      this.rowsBeyondImage++;
    }
  }
}
