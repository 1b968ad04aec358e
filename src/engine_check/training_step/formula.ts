/** @file The model's weights and the clips of the training step, from formulas that tools/engine_check repeats in Python. */
import type { Batch } from '../../data/loading/collate.js';
import { sizeOf } from '../../formats/host_tensor.js';
import type { Module } from '../../nn/module.js';

/** As in tools/engine_check/pytorch_step.py. */
const [SEED, GAIN] = [20_000, 0.5];

/** Streams of numbers: the video, then one for each parameter. */
const VIDEO = 0;
const FIRST_PARAMETER = 1;

/** Numbers in [-0.5, 0.5) that are exact in float32: a hash of the stream and the position. */
export function uniform(stream: number, count: number): Float64Array {
  const start = Math.imul(SEED + stream, 0x9e3779b9);
  return Float64Array.from({ length: count }, (_, i) => {
    let x = (i + start) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    return (x >>> 8) * 2 ** -24 - 0.5;
  });
}

/** Gives every parameter its initial value. */
export function fillParameters(model: Module): void {
  for (const [index, [name, parameter]] of [...model.namedParameters()].entries()) {
    const { shape, size } = parameter;
    const u = uniform(index + FIRST_PARAMETER, size);
    const bound = GAIN * Math.sqrt(12 / (size / shape[0]));
    const isFactor = name.endsWith('weight') || name.endsWith('iof_tau');
    parameter.set(
      Float32Array.from(u, (x) => (shape.length > 1 ? x * bound : isFactor ? 1 + 0.4 * x : 0.4 * x)),
    );
  }
}

export interface ClipsInput {
  readonly frames: number;
  /** Pixels of the batch. */
  readonly height: number;
  readonly width: number;
  /** Width and height of each clip; the rest of its frames is zero. */
  readonly sizes: readonly (readonly number[])[];
  /** Corners of the boxes of each clip. */
  readonly boxes: readonly (readonly (readonly number[])[])[];
  /** Actions of each box, 0 or 1. */
  readonly labels: readonly (readonly (readonly number[])[])[];
}

/** A batch of noise. */
export function clipsOf({ frames, height, width, sizes, boxes, labels }: ClipsInput): Batch {
  const shape = [sizes.length, frames, height, width, 3] as const;
  const noise = uniform(VIDEO, sizeOf(shape));
  const video = Float32Array.from(noise, (x, i) => {
    const pixel = Math.floor(i / 3);
    const [w, h] = sizes[Math.floor(pixel / (width * height * frames))];
    const isInside = pixel % width < w && Math.floor(pixel / width) % height < h;
    return isInside ? 4 * x : 0;
  });
  return {
    video,
    shape,
    whwh: Float32Array.from(sizes.flatMap(([w, h]) => [w, h, w, h])),
    boxes: boxes.map((own) => Float32Array.from(own.flat())),
    labels: labels.map((own) => Float32Array.from(own.flat())),
    clips: sizes.map((_, clipId) => ({ clipId, videoIndex: 0, videoName: 'noise', second: clipId })),
  };
}
