/** @file Tests of sizes, boxes, random choices and colours. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataConfig } from '../../../test/support/ava_folder.js';
import { Rng } from '../../util/random.js';
import { type Clip, writeVideo } from './clip.js';
import {
  type Augmentation,
  drawAugmentation,
  makeColourMap,
  scaledSize,
  type TransformSettings,
  transformBoxes,
  transformSettings,
} from './transforms.js';

const FULL_COLOUR = { 'AVA.TRAIN_USE_COLOR_AUGMENTATION': true, 'AVA.TRAIN_PCA_JITTER_ONLY': false };

describe('scaledSize', () => {
  it('gives the short side the requested length and rounds the long one', () => {
    expect(scaledSize({ height: 256, width: 340 }, 256)).toEqual({ height: 256, width: 340 });
    expect(scaledSize({ height: 48, width: 64 }, 32)).toEqual({ height: 32, width: 43 });
    expect(scaledSize({ height: 56, width: 40 }, 32)).toEqual({ height: 45, width: 32 });
    expect(scaledSize({ height: 50, width: 50 }, 20)).toEqual({ height: 20, width: 20 });
  });
});

describe('transformBoxes', () => {
  const size = fc.record({
    height: fc.integer({ min: 2, max: 500 }),
    width: fc.integer({ min: 2, max: 500 }),
  });
  const box = fc
    .tuple(...[0, 1, 2, 3].map(() => fc.double({ min: -1, max: 2, noNaN: true })))
    .map(([a, b, c, d]) => [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)]);

  it('keeps boxes inside the image and their corners in order', () => {
    fc.assert(
      fc.property(
        size,
        fc.integer({ min: 2, max: 400 }),
        fc.array(box, { maxLength: 4 }),
        fc.boolean(),
        (from, scale, boxes, flip) => {
          const to = scaledSize(from, scale);
          const result = transformBoxes(boxes, { from, to, flip });
          expect(result.length).toBe(boxes.length * 4);
          for (let i = 0; i < result.length; i += 4) {
            const [x1, y1, x2, y2] = result.subarray(i, i + 4);
            expect(0 <= x1 && x1 <= x2 && x2 <= to.width - 1).toBe(true);
            expect(0 <= y1 && y1 <= y2 && y2 <= to.height - 1).toBe(true);
          }
        },
      ),
    );
  });

  it('flips x to width − x − 1', () => {
    const from = { height: 100, width: 200 };
    const plain = transformBoxes([[0.1, 0.2, 0.3, 0.4]], { from, to: from, flip: false });
    const flipped = transformBoxes([[0.1, 0.2, 0.3, 0.4]], { from, to: from, flip: true });
    expect([...plain]).toEqual([20, 20, 60, 40]);
    expect([...flipped]).toEqual([139, 20, 179, 40]);
  });

  it('scales both axes by the ratio of the short side', () => {
    const boxes = transformBoxes([[0, 0, 0.5, 0.5]], {
      from: { height: 48, width: 64 },
      to: { height: 32, width: 43 },
      flip: false,
    });
    expect([...boxes]).toEqual([0, 0, (32 * 32) / 48, 16].map(Math.fround));
  });
});

describe('drawAugmentation', () => {
  const draw = (changes: Record<string, unknown>, split: 'train' | 'test', seed: number) =>
    drawAugmentation(transformSettings(dataConfig(changes), split), new Rng(seed));

  it('depends on nothing but the random stream', () => {
    expect(draw(FULL_COLOUR, 'train', 5)).toEqual(draw(FULL_COLOUR, 'train', 5));
    expect(draw(FULL_COLOUR, 'train', 5)).not.toEqual(draw(FULL_COLOUR, 'train', 6));
  });

  it('uses every scale, flips every other clip, and jitters by at most 0.4 in any order', () => {
    const all = Array.from({ length: 600 }, (_, seed) => draw(FULL_COLOUR, 'train', seed));
    expect(new Set(all.map((a) => a.minScale))).toEqual(new Set([256, 320]));
    const flipped = all.filter((a) => a.flip).length;
    expect(flipped > 230 && flipped < 370).toBe(true);
    expect(new Set(all.map((a) => a.jitter.map((step) => step.kind).join())).size).toBe(6);
    for (const { alpha } of all.flatMap((a) => a.jitter))
      expect(Math.abs(alpha - 1)).toBeLessThanOrEqual(0.4);
    // Weights have deviation 0.1 · eigenvalue (0.225 and the like), eigenvectors have length 1.
    const red = all.map((a) => a.lighting![0]);
    const deviation = Math.sqrt(red.reduce((sum, value) => sum + value * value, 0) / red.length);
    expect(Math.abs(deviation - 0.0225)).toBeLessThan(0.003);
  });

  it('leaves out what is turned off', () => {
    const plain = draw({ 'DATA.RANDOM_FLIP': false }, 'train', 1);
    expect(plain).toMatchObject({ flip: false, jitter: [], lighting: null });
    expect(draw({ 'AVA.TRAIN_USE_COLOR_AUGMENTATION': true }, 'train', 1)).toMatchObject({ jitter: [] });
    expect(draw({ 'AVA.TRAIN_USE_COLOR_AUGMENTATION': true }, 'train', 1).lighting).not.toBeNull();
    for (let seed = 0; seed < 20; seed++) {
      expect(draw(FULL_COLOUR, 'test', seed)).toEqual({
        minScale: 256,
        flip: false,
        jitter: [],
        lighting: null,
      });
      expect(draw({ 'AVA.TEST_FORCE_FLIP': true }, 'test', seed).flip).toBe(true);
      expect(draw({ 'DATA.RANDOM_FLIP': false }, 'train', seed).flip).toBe(false);
    }
  });
});

/** The official steps one after the other on a float image in B, G, R order, [pixels][3]. */
function stepByStep(frame: Uint8Array, settings: TransformSettings, augmentation: Augmentation): number[][] {
  let image: number[][] = [];
  for (let i = 0; i < frame.length; i += 3)
    image.push([frame[i + 2], frame[i + 1], frame[i]].map((v) => v / 255));
  const grey = (pixel: number[]) => 0.299 * pixel[2] + 0.587 * pixel[1] + 0.114 * pixel[0];
  for (const { kind, alpha } of augmentation.jitter) {
    const mean = image.reduce((sum, pixel) => sum + grey(pixel), 0) / image.length;
    image = image.map((pixel) => {
      const other = kind === 'brightness' ? 0 : kind === 'contrast' ? mean : grey(pixel);
      return pixel.map((value) => value * alpha + other * (1 - alpha));
    });
  }
  image = image.map((pixel) =>
    pixel.map(
      (value, c) => (value + (augmentation.lighting?.[2 - c] ?? 0) - settings.mean[c]) / settings.std[c],
    ),
  );
  return settings.bgr ? image : image.map((pixel) => pixel.reverse());
}

describe('the colour augmentation', () => {
  const [numFrames, height, width] = [2, 3, 4];
  const frames = Uint8Array.from(
    { length: numFrames * height * width * 3 },
    (_, i) => (i * 97 + (i >> 4) * 31) & 255,
  );

  it.each([
    ['none', {}],
    ['none, BGR', { 'AVA.BGR': true }],
    ['none, reversed channels', { 'DATA.REVERSE_INPUT_CHANNEL': true }],
    ['none, BGR reversed', { 'AVA.BGR': true, 'DATA.REVERSE_INPUT_CHANNEL': true }],
    ['PCA lighting', { 'AVA.TRAIN_USE_COLOR_AUGMENTATION': true }],
    ['jitter and lighting', FULL_COLOUR],
    ['jitter and lighting, BGR', { ...FULL_COLOUR, 'AVA.BGR': true }],
  ])('equals its steps one by one: %s', (_, changes) => {
    const config = dataConfig({ 'DATA.MEAN': [0.4, 0.45, 0.5], 'DATA.STD': [0.2, 0.225, 0.25], ...changes });
    const settings = transformSettings(config, 'train');
    for (let seed = 0; seed < 12; seed++) {
      const augmentation = drawAugmentation(settings, new Rng(seed));
      const colours = makeColourMap(settings, augmentation, frames, numFrames);
      const video = new Float32Array(frames.length);
      writeVideo({ numFrames, height, width, frames, colours } as Clip, video, { offset: 0, height, width });
      const bytes = height * width * 3;
      const want = [0, 1].flatMap((t) =>
        stepByStep(frames.subarray(t * bytes, (t + 1) * bytes), settings, augmentation),
      );
      want.flat().forEach((value, i) => {
        expect(Math.abs(video[i] - value)).toBeLessThan(1e-5);
      });
    }
  });
});
