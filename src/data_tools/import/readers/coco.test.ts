import { describe, expect, it } from 'vitest';
import { columns, importInto } from '../../../../test/support/imported.js';
import { temporaryFiles } from '../../../../test/support/temporary_files.js';

const { at, file } = temporaryFiles();
const json = (value: unknown) => file('coco.json', JSON.stringify(value));
const bbox = [20, 10, 40, 50];
const SIZE = { width: 200, height: 100 };

/** Images of these frames of the video x; their ids are the frames' numbers. */
const framesOf = (numbers: readonly number[]) =>
  numbers.map((frame_index) => ({ id: frame_index, file_name: 'x', video_name: 'x', frame_index, ...SIZE }));

describe('COCO json', () => {
  it('with a list of videos counts frames by frame_id and people by track_id', async () => {
    const path = json({
      videos: [{ id: 1, name: 'clips/a.mp4', fps: 25 }],
      images: [0, 25].map((frame_id, i) => ({
        id: i + 1,
        file_name: `a/${frame_id}.jpg`,
        video_id: 1,
        frame_id,
        ...SIZE,
      })),
      categories: [{ id: 3, name: 'person' }],
      annotations: [
        {
          id: 1,
          image_id: 1,
          category_id: 3,
          bbox,
          track_id: 9,
          iscrowd: 0,
          area: 2000,
          attributes: { action: 'walk', occluded: true },
        },
        { id: 2, image_id: 2, category_id: 3, bbox, track_id: 9, attributes: { action: ['walk', 'wave'] } },
        { id: 3, image_id: 2, category_id: 3, bbox: [100, 10, 40, 50], track_id: 4, attributes: {} },
        { id: 4, image_id: 2, category_id: 3, bbox, iscrowd: 1 },
        { id: 5, image_id: 2, category_id: 3, segmentation: [[0, 0, 10, 0, 10, 10]], track_id: 5 },
        { id: 6, image_id: 7, category_id: 3, bbox },
      ],
    });
    const { lines, log } = await importInto(at('out'), [path]);
    expect(columns(lines(), 0, 1, 2, 6, 7)).toEqual([
      'a,0000,0.1000,1,0',
      'a,0001,0.1000,1,0',
      'a,0001,0.1000,2,0',
      'a,0001,0.5000,,1',
      'a,0001,0.0000,,2',
    ]);
    for (const note of [
      'kept as ordinary boxes: 1 occluded box (',
      'left out: 1 crowd region (',
      'bounding boxes: 1 polygon (',
      `left out: 1 box whose image is not in the file (${path}: annotation 6)`,
    ])
      expect(log).toContain(note);
  });

  it('keeps all boxes of a person whose annotations are not in the order of time', async () => {
    const path = json({
      videos: [{ id: 1, name: 'a.mp4', fps: 25 }],
      images: [25, 0, 50].map((frame_id, i) => ({
        id: i,
        file_name: `${i}.jpg`,
        video_id: 1,
        frame_id,
        ...SIZE,
      })),
      categories: [{ id: 3, name: 'walk' }],
      annotations: [0, 1, 2].map((image_id) => ({
        id: image_id,
        image_id,
        category_id: 3,
        bbox,
        track_id: 9,
      })),
    });
    const { lines } = await importInto(at('out'), [path]);
    expect(columns(lines(), 0, 1, 7)).toEqual(['a,0000,0', 'a,0001,0', 'a,0002,0']);
  });

  it('joins the annotations of one person in one frame that name an action each', async () => {
    const path = json({
      videos: [{ id: 1, name: 'a.mp4', fps: 25 }],
      images: [{ id: 1, file_name: '0.jpg', video_id: 1, frame_id: 0, ...SIZE }],
      categories: [{ id: 3, name: 'person' }],
      annotations: ['walk', 'wave'].map((action, id) => ({
        id,
        image_id: 1,
        category_id: 3,
        bbox,
        track_id: 9,
        attributes: { action },
      })),
    });
    const { lines } = await importInto(at('out'), [path]);
    expect(columns(lines(), 0, 1, 6, 7)).toEqual(['a,0000,1,0', 'a,0000,2,0']);
  });

  it('with numbered images takes categories for actions, several per box', async () => {
    const path = json({
      images: [1, 11].map((number) => ({
        id: number,
        file_name: `walk_01_${String(number).padStart(6, '0')}.jpg`,
        ...SIZE,
      })),
      categories: [
        { id: 1, name: 'sit' },
        { id: 2, name: 'walk' },
        { id: 4, name: 'wave' },
      ],
      annotations: [
        { id: 1, image_id: 11, category_id: 2, bbox },
        { id: 2, image_id: 11, category_id: 4, bbox },
        { id: 3, image_id: 1, category_id: 1, bbox },
      ],
    });
    const { lines } = await importInto(at('out'), [path], { fps: 10 });
    expect(columns(lines(), 0, 1, 6, 7)).toEqual([
      'walk_01,0000,1,0',
      'walk_01,0001,2,0',
      'walk_01,0001,3,0',
    ]);
  });

  it('in the layout of YouTube-VIS has a list of boxes for each track', async () => {
    const path = json({
      videos: [
        {
          id: 1,
          ...SIZE,
          length: 3,
          file_names: ['v7/00000.jpg', 'v7/00005.jpg', 'v7/00010.jpg'],
          name: 'v7',
        },
      ],
      categories: [{ id: 1, name: 'walk' }],
      annotations: [{ id: 3, video_id: 1, category_id: 1, bboxes: [bbox, null, bbox] }],
    });
    const { lines } = await importInto(at('out'), [path], { fps: 2 });
    expect(columns(lines(), 0, 1, 7)).toEqual(['v7,0000,0', 'v7,0001,0']);
  });

  it('does not interpolate: with --step, boxes at other times are counted as left out', async () => {
    const path = json({
      images: framesOf([0, 5, 10]),
      categories: [{ id: 1, name: 'walk' }],
      annotations: [0, 5, 10].map((image_id) => ({ id: image_id, image_id, category_id: 1, bbox })),
    });
    const { lines, log } = await importInto(at('out'), [path], { fps: 10, step: 1 });
    expect(columns(lines(), 1)).toEqual(['0000', '0001']);
    expect(log).toContain('left out: 1 box between the times of --step (');
  });

  it('takes the boxes of one frame if a time of --step lies in the middle of two', async () => {
    const numbers = [0, 12, 13, 25, 38];
    const path = json({
      images: framesOf(numbers),
      categories: [{ id: 1, name: 'walk' }],
      annotations: numbers.map((id) => ({ id, image_id: id, category_id: 1, bbox: [20 + id, 10, 40, 50] })),
    });
    const { lines } = await importInto(at('out'), [path], { fps: 25, step: 0.5 });
    expect(columns(lines(), 1, 2)).toEqual(['0000,0.1000', '0000.5,0.1600', '0001,0.2250', '0001.5,0.2900']);
  });

  it('leaves out boxes of images without a number', async () => {
    const path = json({
      images: [{ id: 1, file_name: 'cat.jpg', ...SIZE }],
      categories: [{ id: 1, name: 'walk' }],
      annotations: [{ id: 1, image_id: 1, category_id: 1, bbox }],
    });
    await expect(importInto(at('out'), [path], { fps: 10 })).rejects.toThrow(
      /has no boxes:\n {2}left out: 1 box in an image without a number/,
    );
  });
});
