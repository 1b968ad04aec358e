/** @file Tests of the clips that are picked and of their boxes. */
import { describe, expect, it } from 'vitest';
import { makeAvaFolder } from '../../test/support/ava_folder.js';
import { AvaDataset } from '../data/datasets/ava_dataset.js';
import type { ClipDetections } from '../evaluation/types.js';
import { exampleDetections } from './examples.js';

const LABELS = [
  { id: 1, name: 'bend' },
  { id: 3, name: 'walk' },
  { id: 4, name: 'talk' },
  { id: 5, name: 'sit' },
];

async function openFolder() {
  const ava = await makeAvaFolder({
    videos: { v: { frames: 10, width: 32, height: 24 } },
    annotations: [
      'v,0902,0.1,0.2,0.5,0.6,3,7',
      'v,0902,0.1,0.2,0.5,0.6,2,7',
      'v,0902,0.5,0.2,0.9,0.6,4,8',
      'v,0904,0,0,1,1,1,7',
      'v,0906,0,0,1,1,1,7',
    ],
  });
  const cfg = ava.config({ 'DATA.NUM_FRAMES': 4, 'MODEL.STM.ACTION_CLASSES': 5 });
  return { ava, dataset: AvaDataset.open(cfg, 'test') };
}

function found(dataset: AvaDataset, index: number, persons: { person: number; actions: number[] }[]) {
  return {
    clip: dataset.source(index).info,
    detections: {
      boxes: Float32Array.from(persons.flatMap((_, n) => [0, 0, 0.5, 0.25 * (n + 1)])),
      personScores: Float32Array.from(persons, ({ person }) => person),
      actionScores: Float32Array.from(persons.flatMap(({ actions }) => actions)),
    },
  } satisfies ClipDetections;
}

describe('exampleDetections', () => {
  it('shows the ground truth of the key frame and the likely actions of each detection', async () => {
    const { ava, dataset } = await openFolder();
    const clips = [
      found(dataset, 0, [
        { person: 0.9, actions: [0.31, 0.99, 0.92, 0.4, 0.5] },
        { person: 0.75, actions: [0.1, 0.9, 0.29, 0, 0] },
      ]),
    ];
    expect(exampleDetections(dataset, clips, LABELS, 4)).toEqual([
      {
        caption: 'v, second 902',
        path: ava.framePath('v', 2),
        boxes: [
          { box: [0.1, 0.2, 0.5, 0.6], labels: ['walk'], kind: 'truth' },
          { box: [0.5, 0.2, 0.9, 0.6], labels: ['talk'], kind: 'truth' },
          {
            box: Float32Array.of(0, 0, 0.5, 0.25),
            labels: ['walk 0.92', 'sit 0.50', 'talk 0.40'],
            kind: 'detection',
          },
          { box: Float32Array.of(0, 0, 0.5, 0.5), labels: ['person 0.75'], kind: 'detection' },
        ],
      },
    ]);
  });

  it('spreads the images over the clips', async () => {
    const { dataset } = await openFolder();
    const clips = [0, 1, 2].map((index) => found(dataset, index, []));
    const captions = (count: number) =>
      exampleDetections(dataset, clips, LABELS, count).map(({ caption }) => caption);
    expect(captions(1)).toEqual(['v, second 904']);
    expect(captions(2)).toEqual(['v, second 902', 'v, second 906']);
    expect(captions(9)).toEqual(['v, second 902', 'v, second 904', 'v, second 906']);
    expect(exampleDetections(dataset, [], LABELS, 4)).toEqual([]);
  });
});
