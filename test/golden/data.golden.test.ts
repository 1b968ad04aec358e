/** @file AVA data against the official code: key frames, clips, boxes, labels, pixels, batches, cv2's resize. */
import { relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Clip, writeVideo } from '../../src/data/clip/clip.js';
import { decodeImage, getSequence } from '../../src/data/clip/frames.js';
import { Resizer } from '../../src/data/clip/resize.js';
import { scaledSize } from '../../src/data/clip/transforms.js';
import { readAnnotations } from '../../src/data/datasets/ava_annotations.js';
import { AvaDataset } from '../../src/data/datasets/ava_dataset.js';
import { type Batch, batchShape, makeBatch } from '../../src/data/loading/collate.js';
import { Rng } from '../../src/util/random.js';
import { dataConfig } from '../support/ava_folder.js';
import { type Golden, goldenExists, goldenJson, goldenPath, goldenTensors } from './golden.js';

const EXPECTED = 'ava_data_expected.json';
const TENSORS = 'ava_data_tensors.safetensors';
const FOLDER = 'ava_data';

interface Item {
  idx: number;
  video_info: { movie: string; timestamp: number };
  center: number;
  sequence: number[];
  first_frame_path: string;
  raw_hw: [number, number];
  tensor_shape: number[];
  whwh: number[];
  boxes: number[][];
  labels_nonzero: number[][];
  label_shape: number[];
  metadata: [number, number];
  tensor_sum: number;
  tensor_abssum: number;
}

interface BatchCase {
  indices: number[];
  size_divisible: number;
  slow_shape: number[];
  whwh: number[][];
  clip_ids: number[];
  metadata: [number, number][];
  nonzero_pad: number;
}

/** [C, T, H, W] or [B, C, T, H, W] as PyTorch has it → channels last. */
const channelsLast = (shape: number[]) => [...shape.slice(0, -4), ...shape.slice(-3), shape.at(-4)!];

const bytes = (tensor: Golden) => Uint8Array.from(tensor.data);

/** The batch of some clips, in memory that may hold anything. */
function collate(clips: readonly Clip[], sizeDivisibility: number, memory?: Float32Array): Batch {
  const shape = batchShape(clips, sizeDivisibility);
  const [, numFrames, height, width] = shape;
  const clipLength = numFrames * height * width * 3;
  const video = memory?.subarray(0, clips.length * clipLength) ?? new Float32Array(clips.length * clipLength);
  for (const [i, clip] of clips.entries()) writeVideo(clip, video, { offset: i * clipLength, height, width });
  return makeBatch(clips, shape, video);
}

/** Swaps the outer channels of [.., 3]. */
function reversed(pixels: Uint8Array): Uint8Array {
  const result = Uint8Array.from(pixels);
  for (let i = 0; i < pixels.length; i += 3) [result[i], result[i + 2]] = [pixels[i + 2], pixels[i]];
  return result;
}

const present = goldenExists(EXPECTED);
const expected = present ? goldenJson(EXPECTED) : {};
const tensors = present && goldenExists(TENSORS) ? goldenTensors(TENSORS) : new Map<string, Golden>();
const cases = Object.entries(expected).filter(
  (entry): entry is [string, { [key: string]: never }] =>
    typeof entry[1] === 'object' && entry[1] !== null && 'config' in entry[1],
);
const configOf = (changes: Record<string, unknown>) =>
  dataConfig({ 'DATA.PATH_TO_DATA_DIR': goldenPath(FOLDER), ...changes });

describe.skipIf(!present).each(cases)('AVA data, %s', (name, { config, items, batches, ...facts }) => {
  const clips = new Map<number, Clip>();
  let dataset: AvaDataset;

  beforeAll(async () => {
    dataset = AvaDataset.open(configOf(config), 'test');
    for (let i = 0; i < dataset.length; i++) clips.set(i, await dataset.load(i, new Rng(i)));
  });

  it('lists the videos and key frames', () => {
    expect(dataset.length).toBe(facts.len);
    expect(dataset.videos.map((video) => video.name)).toEqual(facts.video_idx_to_name);
    expect(dataset.videos.map((video) => video.frames.length)).toEqual(facts.frames_per_video);
    expect(dataset.keyFrames.map((k) => [k.videoIndex, k.secondIndex, k.second, k.center])).toEqual(
      facts.keyframe_indices,
    );
    expect(dataset.numBoxes).toBe(facts.num_boxes_used);
  });

  it.each((items as Item[]).map((item) => [item.idx, item] as const))('loads clip %i', (index, item) => {
    const source = dataset.source(index);
    const clip = clips.get(index)!;
    expect(dataset.keyFrames[index].center).toBe(item.center);
    expect(dataset.sequence(dataset.keyFrames[index])).toEqual(item.sequence);
    expect(relative(goldenPath(FOLDER), source.paths[0])).toBe(item.first_frame_path);
    expect([clip.info.videoName, clip.info.second]).toEqual([
      item.video_info.movie,
      item.video_info.timestamp,
    ]);
    expect([clip.info.videoIndex, clip.info.second]).toEqual(item.metadata);
    expect([clip.originalHeight, clip.originalWidth]).toEqual(item.raw_hw);
    expect([...clip.whwh]).toEqual(item.whwh);
    expect([...clip.boxes]).toEqual(item.boxes.flat().map(Math.fround));

    const numClasses = item.label_shape[1];
    expect(clip.labels.length).toBe(item.label_shape[0] * numClasses);
    const ids = item.labels_nonzero.map((_, box) => {
      const row = clip.labels.subarray(box * numClasses, (box + 1) * numClasses);
      return [...row.keys()].filter((column) => row[column] === 1).map((column) => column + 1);
    });
    expect(ids).toEqual(item.labels_nonzero);
    expect(clip.labels.every((value) => value === 0 || value === 1)).toBe(true);

    const { video, shape } = collate([clip], 0);
    expect(shape.slice(1)).toEqual(channelsLast(item.tensor_shape));
    const sum = video.reduce((total, value) => total + value, 0);
    const absoluteSum = video.reduce((total, value) => total + Math.abs(value), 0);
    expect(Math.abs(sum - item.tensor_sum)).toBeLessThan(1e-6 * item.tensor_abssum);
    expect(Math.abs(absoluteSum - item.tensor_abssum)).toBeLessThan(1e-6 * item.tensor_abssum);
  });

  it('returns the pixels of cv2, decoded, resized and normalised, bit for bit', async () => {
    let compared = 0;
    for (const [key, tensor] of tensors) {
      const [, caseName, index, what] = /^(.+)\.item(\d+)\.(.+)$/.exec(key) ?? [];
      if (caseName !== name) continue;
      const clip = clips.get(Number(index))!;
      const source = dataset.source(Number(index));
      compared++;
      if (what === 'raw_frame0_bgr_u8') {
        const picture = await decodeImage(source.paths[0], key);
        expect([picture.height, picture.width, 3]).toEqual(tensor.shape);
        expect(reversed(picture.data)).toEqual(bytes(tensor));
      } else if (what === 'resized_frame0_bgr_u8') {
        const picture = await decodeImage(source.paths[0], key);
        const { height, width } = scaledSize(picture, configOf(config).DATA.TEST_MIN_SCALES[0]);
        expect([height, width, 3]).toEqual(tensor.shape);
        const resized = new Uint8Array(height * width * 3);
        new Resizer(picture, { height, width }).resize(picture.data, resized);
        expect(reversed(resized)).toEqual(bytes(tensor));
      } else if (what === 'frames0_7_last') {
        // [C, 3, H, W]: the first, the eighth and the last frame.
        const { video, shape } = collate([clip], 0);
        const [, numFrames, height, width] = shape;
        expect(tensor.shape).toEqual([3, 3, height, width]);
        const pixels = height * width;
        const ours = new Float32Array(9 * pixels);
        [0, 7, numFrames - 1].forEach((frame, place) => {
          for (let i = 0; i < pixels * 3; i++) {
            ours[((i % 3) * 3 + place) * pixels + Math.floor(i / 3)] = video[frame * pixels * 3 + i];
          }
        });
        expect(ours).toEqual(tensor.data);
      } else {
        expect.fail(`unknown golden tensor ${key}`);
      }
    }
    expect(compared > 0).toBe([...tensors.keys()].some((key) => key.startsWith(`${name}.`)));
  });

  it.each((batches as BatchCase[]).map((batch) => [batch.indices, batch] as const))(
    'collates the clips %j',
    (indices, batch) => {
      const dirty = new Float32Array(batch.slow_shape.reduce((a, b) => a * b)).fill(7);
      const members = indices.map((index) => clips.get(index)!);
      const result = collate(members, batch.size_divisible, dirty);
      expect(result.video.buffer).toBe(dirty.buffer);
      expect(result.shape).toEqual(channelsLast(batch.slow_shape));
      expect(result.video.length).toBe(dirty.length);
      expect([...result.whwh]).toEqual(batch.whwh.flat());
      expect(result.clips.map((clip) => clip.clipId)).toEqual(batch.clip_ids);
      expect(result.clips.map((clip) => [clip.videoIndex, clip.second])).toEqual(batch.metadata);
      const [, numFrames, height, width] = result.shape;
      let padding = 0;
      members.forEach((clip, b) => {
        const { video: alone } = collate([clip], 0);
        for (let t = 0; t < numFrames; t++) {
          for (let y = 0; y < height; y++) {
            const at = ((b * numFrames + t) * height + y) * width * 3;
            const row = result.video.subarray(at, at + width * 3);
            const inside = y < clip.height ? clip.width * 3 : 0;
            for (const value of row.subarray(inside)) padding += Math.abs(value);
            const from = (t * clip.height + y) * clip.width * 3;
            if (!row.subarray(0, inside).every((value, i) => value === alone[from + i])) {
              expect.fail(`clip ${b}, frame ${t}, row ${y} is not the clip's own`);
            }
          }
        }
      });
      expect(padding).toBe(batch.nonzero_pad);
    },
  );

  it('does not round the size up if divisibility is 0', () => {
    const want = channelsLast(facts.batch_no_divisibility_shape);
    const pairs = [...clips.values()].flatMap((a) => [...clips.values()].map((b) => [a, b] as const));
    const pair = pairs.find(
      ([a, b]) => Math.max(a.height, b.height) === want[2] && Math.max(a.width, b.width) === want[3],
    );
    expect(pair).toBeDefined();
    expect(collate(pair!, 0).shape).toEqual(want);
  });
});

describe.skipIf(!present)('the functions of the AVA data', () => {
  it('sample frame numbers as the official get_sequence does', () => {
    for (const { args, out } of expected.get_sequence ?? []) {
      expect(getSequence(...(args as [number, number, number, number]))).toEqual(out);
    }
  });

  it.skipIf(!goldenExists(`${FOLDER}/annotations/ava_val_out_of_range.csv`))(
    'skip and count the row on which the official parser stops',
    () => {
      const annotations = readAnnotations(
        configOf({
          'AVA.ANNOTATION_DIR': 'annotations',
          'AVA.TEST_GT_BOX_LISTS': ['ava_val_out_of_range.csv'],
        }),
        'test',
      );
      const second = Number(/KeyError: (\d+)/.exec(expected.out_of_range_csv_error)![1]);
      expect(annotations.warnings).toHaveLength(1);
      expect(annotations.warnings[0]).toMatch(
        /^1 annotation row skipped: .*ava_val_out_of_range\.csv:\d+\)$/,
      );
      for (const video of annotations.videos.values())
        expect([...video.seconds.keys()]).not.toContain(second);
    },
  );

  const resizes = [...tensors.keys()].filter((key) => /^resize\.out_\d+x\d+_u8$/.test(key));
  it.each(resizes)('resize as cv2.resize does: %s', (key) => {
    const from = tensors.get('resize.in_u8')!;
    const want = tensors.get(key)!;
    const to = new Uint8Array(want.data.length);
    new Resizer(
      { height: from.shape[0], width: from.shape[1] },
      { height: want.shape[0], width: want.shape[1] },
    ).resize(bytes(from), to);
    expect(to).toEqual(bytes(want));
  });
});
