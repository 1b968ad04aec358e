/** @file Input for the benchmarks. */
import type { Config } from '../src/config/index.js';
import type { Batch } from '../src/data/loading/collate.js';
import { Rng } from '../src/util/random.js';

/** How large a batch is. */
export interface ClipSize {
  /** Number of clips. */
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  /** Boxes in each clip. */
  readonly boxes: number;
}

/** Clips of noise with random boxes and actions, for the model of a configuration. */
export function randomBatch(
  { DATA: { NUM_FRAMES: T }, MODEL }: Config,
  { batch: B, height: H, width: W, boxes }: ClipSize,
): Batch {
  const classes = MODEL.STM.ACTION_CLASSES;
  const rng = new Rng(1);
  const video = Float32Array.from({ length: B * T * H * W * 3 }, () => rng.uniformBetween(-2, 2));
  const clip = () => {
    const corners = Array.from({ length: boxes }, () => {
      const [x, y] = [rng.uniformBetween(0, 0.6 * W), rng.uniformBetween(0, 0.5 * H)];
      return [x, y, x + 0.3 * W, y + 0.5 * H];
    });
    const labels = Float32Array.from({ length: boxes * classes }, () => (rng.uniform() < 0.05 ? 1 : 0));
    return { boxes: Float32Array.from(corners.flat()), labels };
  };
  const clips = Array.from({ length: B }, clip);
  return {
    video,
    shape: [B, T, H, W, 3],
    whwh: Float32Array.from(clips.flatMap(() => [W, H, W, H])),
    boxes: clips.map((c) => c.boxes),
    labels: clips.map((c) => c.labels),
    clips: clips.map((_, i) => ({ clipId: i, videoIndex: 0, videoName: 'noise', second: i })),
  };
}
