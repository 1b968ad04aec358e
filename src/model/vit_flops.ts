/** @file Floating-point operations of a ViT and its neck. */
import type { ClipSize, ForwardFlops, ModelConfig } from './backbone.js';
import { NECK_LEVELS } from './neck.js';

/** The forward pass of one clip. */
export function vitFlops({ ViT, MODEL }: ModelConfig, { frames, height, width }: ClipSize): ForwardFlops {
  const [C, D] = [ViT.EMBED_DIM, MODEL.STM.HIDDEN_DIM];
  const N = frames * (height / ViT.PATCH_SIZE) * (width / ViT.PATCH_SIZE);
  const first = 2 * N * ViT.IN_CHANS * ViT.TUBELET_SIZE * ViT.PATCH_SIZE ** 2 * C;
  const block = 2 * N * C * (4 + 2 * ViT.MLP_RATIO) * C + 4 * N * N * C;
  const neck = NECK_LEVELS.map(({ scale }) => {
    const upsampling = { 4: 4 * C * C + 4 * C * C, 2: 4 * C * C, 1: 0, 0.5: 0 }[scale];
    const channels = { 4: C / 4, 2: C / 2, 1: C, 0.5: C }[scale];
    return N * upsampling + 2 * N * scale * scale * (channels + 27 * D) * D;
  });
  return { first, rest: ViT.DEPTH * block + neck.reduce((a, b) => a + b) };
}
