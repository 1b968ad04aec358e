/** @file Clips for ResNet backbones against PyTorch: frames of a clip, frames of the slow pathway, order of channels. */
import { describe, expect, it } from 'vitest';
import { getSequence } from '../../src/data/clip/frames.js';
import { slowFrames } from '../../src/data/clip/pathways.js';
import { goldenExists } from './golden.js';
import { resnetJson } from './resnet.js';

const present = goldenExists('resnet/resnet_data.json');
const golden = present ? resnetJson('resnet_data.json') : {};

describe.skipIf(!present)('the slow pathway', () => {
  it('has the frames of torch.linspace', () => {
    for (const [frames, alpha, expected] of golden.slow_index)
      expect(slowFrames(frames, alpha), `${frames} frames, alpha ${alpha}`).toEqual(expected);
    for (const [frames, alpha, places] of golden.slow_index_where_exact_arithmetic_differs)
      for (const [place, expected] of places) expect(slowFrames(frames, alpha)[place]).toBe(expected);
  });

  it('and the fast one begin with the frames around the key frame', () => {
    for (const { NUM_FRAMES, SAMPLING_RATE, center, frames_in_video, sequence } of golden.sequences) {
      const halfLength = Math.floor((NUM_FRAMES * SAMPLING_RATE) / 2);
      expect(getSequence(center, halfLength, SAMPLING_RATE, frames_in_video)).toEqual(sequence);
    }
  });

  it.each(['pack_reverse_False', 'pack_reverse_True'])('takes them from the fast one: %s', (name) => {
    const { ALPHA, 'slow[c,t,0,0]': slow, 'fast[c,t,0,0]': fast } = golden[name];
    const picked = fast.map((channel: number[]) => slowFrames(channel.length, ALPHA).map((t) => channel[t]));
    expect(picked).toEqual(slow);
  });
});
