/** @file A video of the input's frames with the boxes of the nearest key frame. */
import { BoxesOnVideo } from '../drawing/draw_boxes.js';
import type { DrawnBox } from '../drawing/types.js';
import { VideoWriter } from '../media/video_writer.js';
import type { Frames } from './input.js';
import type { KeyFrame } from './key_frames.js';

/** Number of frames that are decoded and drawn at the same time. */
const AT_A_TIME = 4;

/**
 * Writes the video. Boxes stay in place until the middle between two key frames, because the model neither predicts boxes in
 * between nor tracks people from one key frame to the next.
 */
export class VideoOfResults {
  #writer: VideoWriter | undefined;
  #frame = 0;

  constructor(
    private readonly path: string,
    private readonly encoder: string,
    private readonly frames: Frames,
  ) {}

  /** Draws the boxes of a key frame on the frames up to the middle between it and the next one, or up to the end. */
  async add(boxes: readonly DrawnBox[], keyFrame: KeyFrame, next: KeyFrame | undefined): Promise<void> {
    const { paths, fps } = this.frames;
    const end = next ? Math.ceil((keyFrame.frame + next.frame) / 2) : paths.length;
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
