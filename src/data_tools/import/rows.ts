/** @file Rows of AVA's csv: boxes at key frames, with actions and people as numbers. */
import { timeText } from '../../data/time.js';
import { type ActionRule, isPersonId } from './actions.js';
import type { Corners, Losses } from './model.js';
import type { Sample } from './samples.js';

/** One person at one key frame. */
export interface PersonBox {
  readonly second: number;
  /** The coordinates as the csv has them, which tell boxes of a key frame apart. */
  readonly boxText: string;
  readonly actions: Set<string>;
  readonly person: number;
}

const DIGITS = 4;

/** The boxes of the people in a video, in the order of time. `secondOf` maps seconds of the video to those of the annotations. */
export function personBoxes(
  samples: readonly Sample[],
  rule: ActionRule,
  { secondOf, losses }: { secondOf(time: number): number; losses: Losses },
): PersonBox[] {
  const people = new People();
  const byFrame = new Map<string, Map<string, PersonBox>>();
  for (const sample of [...samples].sort((a, b) => a.time - b.time)) {
    const { track, time, attributes } = sample;
    if (!rule.isPerson(track.labels)) {
      const label = track.labels.join(', ') || 'no label';
      losses.add(
        'left',
        track.where,
        `box with ${label === 'no label' ? label : `the label ${label}`}`,
        `boxes with ${label === 'no label' ? label : `the label ${label}`}`,
      );
      continue;
    }
    const boxText = textOfBox(sample.box, track.where, losses);
    if (boxText === null) continue;
    const second = secondOf(time);
    const key = timeText(second);
    const frame = byFrame.get(key) ?? new Map<string, PersonBox>();
    byFrame.set(key, frame);
    const known = frame.get(boxText);
    const box = known ?? {
      second,
      boxText,
      actions: new Set<string>(),
      person: people.numberOf(sample, frame.size),
    };
    frame.set(boxText, box);
    for (const action of rule.actionsOf(track.labels, attributes)) box.actions.add(action);
  }
  return [...byFrame.values()].flatMap((frame) => [...frame.values()]);
}

/** Numbers of people in a video. */
class People {
  readonly #numbers = new Map<string, number>();

  /** The number of a track or of a person that an attribute names; of other boxes, their number in the key frame. */
  numberOf({ track, attributes }: Sample, inFrame: number): number {
    const named = [...attributes].find(([name, values]) => isPersonId(name) && values.length > 0)?.[1][0];
    const person = named ?? track.person;
    if (person === null) return inFrame;
    const number = this.#numbers.get(person) ?? this.#numbers.size;
    this.#numbers.set(person, number);
    return number;
  }
}

/** The coordinates inside the image; null for a box outside it or without an area. */
function textOfBox(box: Corners, where: string, losses: Losses): string | null {
  const [x1, y1, x2, y2] = [
    Math.min(box[0], box[2]),
    Math.min(box[1], box[3]),
    Math.max(box[0], box[2]),
    Math.max(box[1], box[3]),
  ];
  const inside = [x1, y1, x2, y2].map((value) => Math.min(1, Math.max(0, value)));
  const texts = inside.map((value) => value.toFixed(DIGITS));
  if (Number(texts[2]) <= Number(texts[0]) || Number(texts[3]) <= Number(texts[1])) {
    losses.add('left', where, 'box without an area in the image', 'boxes without an area in the image');
    return null;
  }
  const beyond = Math.max(-x1, -y1, x2 - 1, y2 - 1);
  if (beyond > 10 ** -DIGITS) losses.add('clipped', where, 'box', 'boxes');
  return texts.join(',');
}

/** The rows of a video: one for each action of a box, or one without an action. */
export function rowsOf(
  video: string,
  boxes: readonly PersonBox[],
  idOf: ReadonlyMap<string, number>,
): string {
  return boxes
    .flatMap(({ second, boxText, actions, person }) =>
      (actions.size === 0 ? [''] : [...actions].map((action) => String(idOf.get(action)))).map(
        (action) => `${video},${timeText(second)},${boxText},${action},${person}\n`,
      ),
    )
    .join('');
}
