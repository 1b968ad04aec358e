/** @file The convolutions of the ResNet backbones on one clip of 256×320, for benchmarks. */
import { countWindows, type Size3 } from '../src/engine/kernel_contract.js';

/** A convolution without bias, which batch normalisation and a ReLU follow. */
export interface ConvLayer {
  readonly name: string;
  /** How often the backbone has it. */
  readonly count: number;
  /** [1, T, H, W, in] */
  readonly x: readonly number[];
  readonly out: number;
  readonly kernel: Size3;
  readonly stride: Size3;
  readonly padding: Size3;
}

/** Layers by backbone. The fast pathway includes the convolutions that lead from it to the slow one. */
export const RESNET_LAYERS: Readonly<Record<'slowonly' | 'slow' | 'fast', readonly ConvLayer[]>> = {
  slowonly: pathway({ frames: 4, width: 64, stemFrames: 1, temporal: [1, 1, 3, 3], fused: 0 }),
  slow: pathway({ frames: 8, width: 64, stemFrames: 1, temporal: [1, 1, 3, 3], fused: 0.25 }),
  fast: [
    ...pathway({ frames: 32, width: 8, stemFrames: 5, temporal: [3, 3, 3, 3], fused: 0 }),
    ...[8, 32, 64, 128].map((channels, i) => {
      const [H, W] = [256, 320].map((extent) => extent / 4 / [1, 1, 2, 4][i]);
      return layer(`fuse${i + 1}`, [1, 32, H, W, channels], 2 * channels, [7, 1, 1], { stride: [4, 1, 1] });
    }),
  ],
};

interface Pathway {
  readonly frames: number;
  readonly width: number;
  /** Frames of the kernel of the stem. */
  readonly stemFrames: number;
  /** Frames of the first kernel of each block, by stage. */
  readonly temporal: readonly number[];
  /** Channels of the other pathway that enter each stage, in units of its own. */
  readonly fused: number;
}

function pathway({ frames, width, stemFrames, temporal, fused }: Pathway): ConvLayer[] {
  const stem = layer('stem', [1, frames, 256, 320, 3], width, [stemFrames, 7, 7], { stride: [1, 2, 2] });
  const stages = [3, 4, 6, 3].flatMap((blocks, stage) => {
    const stride: Size3 = stage === 0 ? [1, 1, 1] : [1, 2, 2];
    const [H, W] = [64, 80].map((extent) => extent / 2 ** stage);
    const before = [frames, H * stride[1], W * stride[2]];
    const [inner, outer] = [width * 2 ** stage, width * 4 * 2 ** stage];
    const entering = (stage === 0 ? width : outer / 2) * (1 + fused);
    const at = (places: readonly number[], channels: number) => [1, ...places, channels];
    const after = [frames, H, W];
    const name = (part: string) => `res${stage + 2} ${part}`;
    const t: Size3 = [temporal[stage], 1, 1];
    return [
      layer(name('branch1'), at(before, entering), outer, [1, 1, 1], { stride }),
      layer(name('first a'), at(before, entering), inner, t),
      layer(name('first b'), at(before, inner), inner, [1, 3, 3], { stride }),
      layer(name('a'), at(after, outer), inner, t, { count: blocks - 1 }),
      layer(name('b'), at(after, inner), inner, [1, 3, 3], { count: blocks - 1 }),
      layer(name('c'), at(after, inner), outer, [1, 1, 1], { count: blocks }),
    ];
  });
  return [stem, ...stages];
}

function layer(
  name: string,
  x: readonly number[],
  out: number,
  kernel: Size3,
  { stride = [1, 1, 1], count = 1 }: { stride?: Size3; count?: number } = {},
): ConvLayer {
  const padding = kernel.map((size) => Math.floor(size / 2)) as unknown as Size3;
  return { name, count, x, out, kernel, stride, padding };
}

/** GFLOP of the convolution; each of its gradients takes as many. */
export function gigaflops(what: ConvLayer): number {
  const product = (numbers: readonly number[]) => numbers.reduce((a, b) => a * b, 1);
  return (2 * product(countWindows(what.x, what)) * what.out * what.x[4] * product(what.kernel)) / 1e9;
}
