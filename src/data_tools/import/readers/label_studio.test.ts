import { describe, expect, it } from 'vitest';
import { columns, importInto } from '../../../../test/support/imported.js';
import { temporaryFiles } from '../../../../test/support/temporary_files.js';

const { at, file } = temporaryFiles();
const json = (value: unknown) => file('tasks.json', JSON.stringify(value));
const key = (frame: number, x: number, more = {}) => ({
  frame,
  x,
  y: 10,
  width: 20,
  height: 50,
  enabled: true,
  rotation: 0,
  time: frame / 10,
  ...more,
});
const video = (id: string, sequence: unknown[], more = {}) => ({
  id,
  type: 'videorectangle',
  origin: 'manual',
  from_name: 'box',
  to_name: 'video',
  value: { framesCount: 100, duration: 10, sequence, ...more },
});
const task = (result: unknown[], more = {}) => ({
  id: 1,
  file_upload: 'ab12cd34-clip.mp4',
  data: { video: '/data/upload/1/ab12cd34-my%20clip.mp4' },
  annotations: [{ id: 1, result, was_cancelled: false }],
  ...more,
});

describe("Label Studio's json of videos", () => {
  it('counts frames from 1, and interpolates between enabled key frames', async () => {
    const path = json([
      task([
        video('r1', [key(1, 0), key(21, 20, { enabled: false }), key(41, 50, { enabled: false })], {
          labels: ['walk'],
        }),
      ]),
    ]);
    const drawn = await importInto(at('drawn'), [path]);
    expect(columns(drawn.lines(), 0, 1, 2, 6, 7)).toEqual([
      'my_clip,0000,0.0000,1,0',
      'my_clip,0002,0.2000,1,0',
      'my_clip,0004,0.5000,1,0',
    ]);
    const stepped = await importInto(at('stepped'), [path], { step: 1 });
    expect(columns(stepped.lines(), 1, 2)).toEqual([
      '0000,0.0000',
      '0001,0.1000',
      '0002,0.2000',
      '0004,0.5000',
    ]);
  });

  it('keeps a box until the end of the video if its last key frame is enabled', async () => {
    const path = json([
      task([video('r1', [key(1, 0)], { labels: ['walk'], framesCount: 31, duration: 3.1 })]),
    ]);
    const { lines } = await importInto(at('out'), [path], { step: 1 });
    expect(columns(lines(), 1)).toEqual(['0000', '0001', '0002', '0003']);
  });

  it('finds choices and labels of a region by its id, its parent and relations', async () => {
    const path = json([
      task([
        video('r1', [key(1, 0)]),
        { id: 'r1', type: 'labels', from_name: 'who', to_name: 'video', value: { labels: ['Person'] } },
        {
          id: 'r1',
          type: 'choices',
          from_name: 'actions',
          to_name: 'video',
          value: { choices: ['walk', 'wave'] },
        },
        video('r2', [key(1, 40)], { labels: ['Person'] }),
        { id: 'c2', parentID: 'r2', type: 'choices', from_name: 'actions', value: { choices: ['sit'] } },
        video('r3', [key(1, 60)], { labels: ['Person'] }),
        {
          id: 't3',
          type: 'timelinelabels',
          from_name: 'actions',
          value: { ranges: [{ start: 1, end: 5 }], timelinelabels: ['talk'] },
        },
        { type: 'relation', from_id: 'r3', to_id: 't3', direction: 'right' },
      ]),
    ]);
    const { lines, log } = await importInto(at('out'), [path]);
    expect(columns(lines(), 2, 6, 7)).toEqual(['0.0000,1,0', '0.0000,2,0', '0.4000,3,1', '0.6000,4,2']);
    expect(log).toContain(
      'the actions are in the attribute actions of boxes with the label Person (4 actions)',
    );
  });

  it('is read in the short form JSON-MIN', async () => {
    const value = video('x', [key(1, 0)], { labels: ['walk'] }).value;
    const path = json([
      {
        id: 4,
        video: '/data/local-files/?d=clips/a%20b.mp4',
        box: [value],
        choices: 'outdoor',
        annotator: 1,
      },
    ]);
    const { lines } = await importInto(at('out'), [path]);
    expect(lines()).toEqual(['a_b,0000,0.0000,0.1000,0.2000,0.6000,1,0']);
  });

  it('says what it left out: cancelled and further annotations, other tasks and other regions', async () => {
    const good = {
      id: 2,
      result: [
        video('r1', [key(1, 0, { rotation: 10 })], { labels: ['walk'] }),
        { id: 'w', type: 'choices', from_name: 'scene', value: { choices: ['street'] } },
      ],
    };
    const path = json([
      { ...task([]), annotations: [{ id: 1, result: [], was_cancelled: true }, { id: 3, result: [] }, good] },
      {
        id: 2,
        data: { image: 'x.jpg' },
        annotations: [
          {
            result: [
              {
                id: 'i',
                type: 'rectanglelabels',
                value: { x: 1, y: 2, width: 3, height: 4, rectanglelabels: ['walk'] },
              },
            ],
          },
        ],
      },
      { id: 3, data: { video: 'b.mp4' }, annotations: [], predictions: [{ result: [] }] },
    ]);
    const { log, lines } = await importInto(at('out'), [path]);
    expect(lines()).toHaveLength(1);
    for (const note of [
      '1 cancelled annotation (',
      '1 further annotation of the same task (',
      '1 result of type choices without a box (',
      `1 result of type rectanglelabels (${path}: task 2, region i)`,
      '1 prediction that was not submitted (',
      '1 rotated box in a video of unknown size (',
    ])
      expect(log).toContain(note);
  });

  it('turns a rotated box about its upper left corner, if the size is known', async () => {
    const path = json([task([video('r1', [key(1, 50, { rotation: 90 })], { labels: ['walk'] })])]);
    const { lines } = await importInto(at('out'), [path], { size: { width: 200, height: 100 } });
    // 40×50 pixels at (100, 10), turned clockwise: to the left by its height, and down by its width.
    expect(lines()).toEqual(['my_clip,0000,0.2500,0.1000,0.5000,0.5000,1,0']);
  });

  it('finds the name of a video in a URL with a signature', async () => {
    const data = { video: 's3://bucket/clips/run%201.mp4?signature=a/b' };
    const path = json([task([video('r1', [key(0, 0)], { labels: ['walk '], framesCount: 0 })], { data })]);
    await expect(importInto(at('out'), [path])).rejects.toThrow('put run 1.mp4 beside the annotations');
    const { lines } = await importInto(at('out'), [path], { fps: 10 });
    expect(lines()[0]).toMatch(/^run_1,0000,/);
    expect(lines('label_map.pbtxt')[1]).toBe('  name: "walk"');
  });
});
