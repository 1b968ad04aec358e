/** @file The results of one task of Label Studio: boxes, and values that belong to them. */
import { defineAttribute, type Imported, type ImportedVideo, type Track, type TrackKey } from '../model.js';
import { arrayOr, numberOrNone, objectOr, textOrNull } from '../read_file.js';
import { cornersOf } from '../shapes.js';

/** One result, as the file has it. */
export interface Result {
  readonly id?: unknown;
  readonly parentID?: unknown;
  readonly type?: unknown;
  readonly from_name?: unknown;
  readonly from_id?: unknown;
  readonly to_id?: unknown;
  readonly value?: unknown;
}

/** Kinds of results that describe a region or the whole task. */
const VALUE_KEYS = ['choices', 'text', 'taxonomy', 'labels'];

export class LabelStudioRegions {
  /** Id of a region → its track. */
  readonly #tracks = new Map<string, Track & { labels: string[] }>();
  /** Id of a region → ids of regions that a relation connects with it. */
  readonly #related = new Map<string, string[]>();

  constructor(
    private readonly imported: Imported,
    private readonly video: ImportedVideo,
    private readonly where: string,
  ) {}

  read(results: readonly Result[]): void {
    results.forEach((result, i) => {
      if (result.type === 'videorectangle') this.#addTrack(result, i);
      if (result.type === 'relation') this.#relate(String(result.from_id), String(result.to_id));
    });
    for (const result of results) {
      if (result.type === 'videorectangle' || result.type === 'relation') continue;
      if (result.type === 'timelinelabels') this.#addSegments(result);
      else this.#addValues(result);
    }
    this.imported.tracks.push(...this.#tracks.values());
  }

  #at(result: Result): string {
    return `${this.where}, region ${textOrNull(result.id) ?? '?'}`;
  }

  #relate(from: string, to: string): void {
    for (const [one, other] of [
      [from, to],
      [to, from],
    ])
      this.#related.set(one, [...(this.#related.get(one) ?? []), other]);
  }

  #addTrack(result: Result, index: number): void {
    const { losses, labels: known } = this.imported;
    const value = objectOr(result.value);
    const sequence = arrayOr(value.sequence).map(objectOr);
    const where = this.#at(result);
    const keys = sequence.flatMap((key): TrackKey[] => {
      const [frame, x, y, width, height] = ['frame', 'x', 'y', 'width', 'height'].map((name) =>
        numberOrNone(key[name]),
      );
      if (frame === null || x === null || y === null || width === null || height === null) {
        losses.add('left', where, 'key frame without a box', 'key frames without boxes');
        return [];
      }
      const box = cornersOf(x / 100, y / 100, width / 100, height / 100);
      const turn = (numberOrNone(key.rotation) ?? 0) % 360;
      // A key frame that is not enabled is the last one before a gap.
      return [
        {
          at: frame,
          box,
          visible: true,
          drawn: true,
          continues: key.enabled !== false,
          attributes: new Map(),
          turn,
        },
      ];
    });
    if (sequence.length === 0)
      losses.add('left', where, 'region without key frames', 'regions without key frames');
    keys.sort((a, b) => a.at - b.at);
    const labels = Object.entries(value).flatMap(([name, list]) =>
      /labels$/.test(name) ? arrayOr(list).map((label) => String(label).trim()) : [],
    );
    for (const label of labels) known.add(label);
    const id = textOrNull(result.id) ?? `region ${index + 1}`;
    const staysToEnd = keys.at(-1)?.continues ?? false;
    this.#tracks.set(id, { video: this.video, person: id, labels, keys, staysToEnd, where });
  }

  /** The track that a result describes: by the same id, as its child, or by a relation. */
  #trackOf({ id, parentID }: Result): (Track & { labels: string[] }) | undefined {
    const ids = [id, parentID]
      .map(textOrNull)
      .flatMap((one) => (one === null ? [] : [one, ...(this.#related.get(one) ?? [])]));
    return ids.map((one) => this.#tracks.get(one)).find((track) => track !== undefined);
  }

  #addValues(result: Result): void {
    const { losses, labels } = this.imported;
    const track = this.#trackOf(result);
    const type = textOrNull(result.type) ?? 'result';
    const value = objectOr(result.value);
    const key = VALUE_KEYS.find((name) => name in value);
    if (key === undefined) {
      losses.add('left', this.#at(result), `result of type ${type}`, `results of type ${type}`);
      return;
    }
    if (!track) {
      losses.add(
        'left',
        this.#at(result),
        `result of type ${type} without a box`,
        `results of type ${type} without a box`,
      );
      return;
    }
    const values = (Array.isArray(value[key]) ? value[key] : [value[key]]).flatMap(leafOf);
    if (key === 'labels') {
      for (const label of values) {
        labels.add(label);
        if (!track.labels.includes(label)) track.labels.push(label);
      }
      return;
    }
    const name = textOrNull(result.from_name) ?? type;
    defineAttribute(this.imported, name, key === 'text' ? 'text' : 'choice', key === 'text' ? [] : values);
    for (const one of track.keys) (one.attributes as Map<string, string[]>).set(name, values);
  }

  /** Labels of stretches of time, which may be connected with a box. */
  #addSegments(result: Result): void {
    const value = objectOr(result.value);
    const name = textOrNull(result.from_name) ?? 'timelinelabels';
    const values = arrayOr(value.timelinelabels).map(String);
    defineAttribute(this.imported, name, 'choice', values);
    for (const range of arrayOr(value.ranges).map(objectOr)) {
      const [from, to] = [numberOrNone(range.start), numberOrNone(range.end)];
      if (from === null || to === null) continue;
      const track = this.#trackOf(result) ?? null;
      const attributes = new Map([[name, values]]);
      this.imported.segments.push({
        video: this.video,
        from,
        to,
        attributes,
        track,
        where: this.#at(result),
      });
    }
  }
}

/** A choice; of a path in a taxonomy the last part. */
function leafOf(value: unknown): string[] {
  const text = textOrNull(Array.isArray(value) ? value.at(-1) : value);
  return text === null ? [] : [text.trim()];
}
