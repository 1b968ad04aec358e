/** @file The input's frames with the boxes of the nearest key frame, as a video. */
import { BoxesOnVideo } from '../drawing/draw_boxes.js';
import type { DrawnBox } from '../drawing/types.js';
import { VideoWriter } from '../media/video_writer.js';
import type { Frames } from './input.js';
import type { KeyFrame } from './key_frames.js';

/** Frames that are decoded and drawn at the same time. */
const AT_A_TIME = 4;

/**
 * Boxes stay until the middle between two key frames and are not moved in between: the model said nothing about the
 * frames there, and which person of one key frame is which of the next it does not say either.
 */
export class VideoOfResults {
  #writer: VideoWriter | undefined;
  #keyFrame = 0;
  #frame = 0;

  constructor(
    private readonly path: string,
    private readonly encoder: string,
    private readonly frames: Frames,
    private readonly keyFrames: readonly KeyFrame[],
  ) {}

  /** Draws the boxes of the next key frame on the frames around it. */
  async add(boxes: readonly DrawnBox[]): Promise<void> {
    const { paths, fps } = this.frames;
    const key = this.keyFrames[this.#keyFrame++];
    const next = this.keyFrames[this.#keyFrame];
    const end = next ? Math.ceil((key.frame + next.frame) / 2) : paths.length;
    const drawer = new BoxesOnVideo(boxes);
    while (this.#frame < end) {
      const some = paths.slice(this.#frame, Math.min(end, this.#frame + AT_A_TIME));
      this.#frame += some.length;
      for (const { data, width, height } of await Promise.all(some.map((path) => drawer.draw(path)))) {
        this.#writer ??= new VideoWriter(this.path, { encoder: this.encoder, fps, width, height });
        await this.#writer.write(data);
      }
    }
  }

  /** Completes the file with the frames so far. */
  async close(): Promise<void> {
    await this.#writer?.close();
  }
}
