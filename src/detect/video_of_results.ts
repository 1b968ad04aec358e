/** @file A video of the input with the boxes of the nearest key frame. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxesOnVideo, drawBoxesAlone, pixelsOf } from '../drawing/draw_boxes.js';
import type { DrawnBox } from '../drawing/types.js';
import { writeOverlayVideo } from '../media/overlay_video.js';
import { VideoWriter } from '../media/video_writer.js';
import { NEVER_ABORTED } from '../util/abort.js';
import type { Reporter } from '../util/log.js';
import type { Frames } from './input.js';
import type { KeyFrame } from './key_frames.js';

/**
 * Writes the video. Boxes stay in place until the middle between two key frames, because the model neither predicts boxes in
 * between nor follows people from one key frame to the next.
 */
export interface VideoOfResults {
  /** Adds the boxes of a key frame, which count up to the middle between it and the next one, or up to the end. */
  add(boxes: readonly DrawnBox[], keyFrame: KeyFrame, next: KeyFrame | undefined): Promise<void>;
  /** Completes the file with the key frames so far. */
  close(): Promise<void>;
}

export interface VideoOptions {
  readonly path: string;
  readonly encoder: string;
  readonly frames: Frames;
  /** Seconds from one key frame to the next. */
  readonly step: number;
  readonly report: Reporter;
  readonly signal: AbortSignal;
}

/** A video of the frames in a folder, or one with the frames and the sound of the video that the input is. */
export function videoOfResults(options: VideoOptions): VideoOfResults {
  const { video } = options.frames;
  return video === null ? new VideoOfFrames(options) : new SourceVideo(video, options);
}

/** Number of frames that are decoded and drawn at the same time. */
const AT_A_TIME = 4;

/** Draws on each frame and encodes the result, while the detection goes on. */
class VideoOfFrames implements VideoOfResults {
  #writer: VideoWriter | undefined;
  #frame = 0;

  constructor(private readonly options: VideoOptions) {}

  async add(boxes: readonly DrawnBox[], keyFrame: KeyFrame, next: KeyFrame | undefined): Promise<void> {
    const { path, encoder, frames } = this.options;
    const { paths, fps } = frames;
    const end = next ? Math.ceil((keyFrame.frame + next.frame) / 2) : paths.length;
    const drawer = new BoxesOnVideo(boxes);
    while (this.#frame < end) {
      const some = paths.slice(this.#frame, Math.min(end, this.#frame + AT_A_TIME));
      this.#frame += some.length;
      for (const { data, width, height } of await Promise.all(some.map((frame) => drawer.draw(frame)))) {
        this.#writer ??= new VideoWriter(path, { encoder, fps, width, height });
        await this.#writer.write(data);
      }
    }
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }
}

/** Keeps the boxes of each key frame as a transparent image, and lays these over the video in the end. */
class SourceVideo implements VideoOfResults {
  readonly #overlays: string;
  #size: { width: number; height: number } | undefined;
  #result = { width: 0, height: 0 };
  #count = 0;
  /** The second up to which the boxes are known; null for the end. */
  #end: number | null = 0;

  constructor(
    private readonly source: NonNullable<Frames['video']>,
    private readonly options: VideoOptions,
  ) {
    this.#overlays = join(source.folder, 'boxes');
    mkdirSync(this.#overlays);
  }

  async add(boxes: readonly DrawnBox[], keyFrame: KeyFrame, next: KeyFrame | undefined): Promise<void> {
    const { paths, fps } = this.options.frames;
    this.#size ??= await pixelsOf(paths[keyFrame.frame]);
    const { png, width, height } = await drawBoxesAlone(this.#size, boxes);
    this.#result = { width, height };
    writeFileSync(join(this.#overlays, `${String(this.#count++).padStart(6, '0')}.png`), png);
    this.#end = next ? (keyFrame.frame + next.frame) / 2 / fps : null;
  }

  async close(): Promise<void> {
    if (this.#count === 0) return;
    const { path, encoder, frames, step, report, signal } = this.options;
    if (signal.aborted) report.info('writing detections.mp4 up to the last finished key frame');
    try {
      const warning = await writeOverlayVideo(
        {
          source: this.source,
          overlays: this.#overlays,
          // No frame is a key frame twice, however short the step.
          period: Math.max(step, 1 / frames.fps),
          ...this.#result,
          end: this.#end,
          encoder,
          path,
        },
        // After an abort of the detection, what is done is written all the same.
        {
          signal: signal.aborted ? NEVER_ABORTED : signal,
          onFrames: (done) => report.progress(done, null, 'frames of detections.mp4'),
        },
      );
      if (warning !== null) report.warn(warning);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      report.info('detections.mp4 is incomplete, because writing it was stopped');
    }
  }
}
