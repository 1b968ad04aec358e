/** @file The names of MAE-ST, Facebook's masked autoencoder for video: queries, keys and values apart. */
import type { Origin } from './origin.js';

export const maeSt: Origin = {
  title: 'MAE-ST',
  names: [
    ['blocks.N.attn.q', 'blocks.N.attn.q'],
    ['blocks.N.attn.k', 'blocks.N.attn.k'],
    ['blocks.N.attn.v', 'blocks.N.attn.v'],
  ],
};
