/** @file Batches of noise for the tiny model, and a model to train on them. */
import type { Config } from '../../src/config/index.js';
import type { Batch } from '../../src/data/loading/collate.js';
import { initializeParameters, StateBuffer } from '../../src/nn/module.js';
import { TrainingState } from '../../src/training/training_state.js';
import { Rng } from '../../src/util/random.js';

/** One clip for each of `counts`, with so many boxes, of different sizes, padded to 64 × 64. */
export function noiseBatch(cfg: Config, counts: readonly number[], seed = 1): Batch {
  const rng = new Rng(seed);
  const [T, H, W, K] = [cfg.DATA.NUM_FRAMES, 64, 64, cfg.MODEL.STM.ACTION_CLASSES];
  const video = new Float32Array(counts.length * T * H * W * 3);
  const sizes = counts.map((_, b) => [W - 8 * (b % 4), H - 6 * (b % 3)]);
  for (const [b, [w, h]] of sizes.entries()) {
    for (let i = 0; i < T * H; i++) {
      const row = (b * T * H + i) * W * 3;
      if (i % H < h) for (let x = 0; x < 3 * w; x++) video[row + x] = rng.uniformBetween(-2, 2);
    }
  }
  const box = ([w, h]: number[]) => {
    const [x, y] = [rng.uniformBetween(0, 0.5 * w), rng.uniformBetween(0, 0.5 * h)];
    return [x, y, x + 0.4 * w, y + 0.4 * h];
  };
  return {
    video,
    shape: [counts.length, T, H, W, 3],
    whwh: Float32Array.from(sizes.flatMap(([w, h]) => [w, h, w, h])),
    boxes: counts.map((n, b) => Float32Array.from(Array.from({ length: n }, () => box(sizes[b])).flat())),
    labels: counts.map((n) => Float32Array.from({ length: n * K }, () => rng.int(2))),
    clips: counts.map((_, b) => ({ clipId: b, videoIndex: b, videoName: `video${b}`, second: 900 + b })),
  };
}

/** A model with random weights and what trains it. */
export function makeState(cfg: Config, seed = 5): TrainingState {
  const state = TrainingState.build(cfg);
  const { model } = state;
  initializeParameters(model, seed);
  const rng = new Rng(seed);
  for (const [name, parameter] of model.namedParameters()) {
    // At first every query has the same box, and rounding decides which of them is matched.
    if (/fc_reg\.weight$/.test(name))
      parameter.set(Float32Array.from({ length: parameter.size }, () => 0.3 * rng.normal()));
  }
  return state;
}

export function disposeState({ model, optimizer }: TrainingState): void {
  model.dispose();
  optimizer.dispose();
}

/** Every weight and buffer by its name, and every tensor of the optimizer's. */
export function contents({ model, optimizer }: TrainingState): Map<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  for (const [name, entry] of model.namedState())
    if (entry instanceof StateBuffer) found.set(name, entry.data.slice());
  for (const [name, parameter] of model.namedParameters()) {
    found.set(name, parameter.value.dataSync().slice() as Float32Array);
    for (const [buffer, tensor] of Object.entries(optimizer.stateOf(parameter)?.buffers ?? {}))
      found.set(`${name} ${buffer}`, tensor.dataSync().slice() as Float32Array);
  }
  return found;
}

/** ‖a − b‖ / ‖b‖. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}
