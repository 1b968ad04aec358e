/** @file Chooses a few clips of an evaluation as examples, with their true boxes and detections. */
import type { AvaDataset } from '../data/datasets/ava_dataset.js';
import type { ActionLabel } from '../data/datasets/label_map.js';
import { readableTime } from '../data/time.js';
import { drawnName } from '../drawing/names.js';
import type { DrawnBox } from '../drawing/types.js';
import { namePeople, personBox } from '../evaluation/people.js';
import type { ClipDetections } from '../evaluation/types.js';

/** Minimum probability of the actions that are named, and how many of them fit beside a box. */
const ACTION_THRESHOLD = 0.3;
const MAX_ACTIONS = 3;

export interface ExamplePicture {
  readonly caption: string;
  /** Image file of the key frame. */
  readonly path: string;
  /** True boxes first, so that detections are drawn on top. */
  readonly boxes: readonly DrawnBox[];
}

/**
 * Chooses `count` of the clips, evenly spaced and the same in every evaluation, each with its true boxes and the detections
 * above the person threshold of the evaluation. Actions that `labels` does not hold are not named, because they do not
 * count either.
 */
export function exampleDetections(
  dataset: AvaDataset,
  clips: readonly ClipDetections[],
  labels: readonly ActionLabel[],
  count: number,
): ExamplePicture[] {
  const names = new Map(labels.map(({ id, name }) => [id, name]));
  const choice = { names, threshold: ACTION_THRESHOLD, top: MAX_ACTIONS };
  const shown = Math.min(count, clips.length);
  return Array.from({ length: shown }, (_, i) => {
    const { clip, detections } = clips[Math.floor(((i + 0.5) * clips.length) / shown)];
    const { paths, boxes, labels: actions } = dataset.source(clip.clipId);
    const rows = [...detections.personScores.keys()];
    const truth = boxes.map((box, b) => ({
      box,
      labels: actions[b].flatMap((id) => {
        const name = names.get(id);
        return name === undefined ? [] : [drawnName(id, name)];
      }),
      kind: 'truth' as const,
    }));
    return {
      caption: `${clip.videoName}, second ${readableTime(clip.second)}`,
      path: paths[Math.floor(paths.length / 2)],
      boxes: [...truth, ...namePeople(detections, rows, choice).map(personBox)],
    };
  });
}
