/** @file The boxes at the key frames of a video: those that were drawn there, and those in between as the format defines it. */
import type { Size } from '../../media/image_header.js';
import type {
  Attributes,
  Corners,
  Imported,
  ImportedVideo,
  Losses,
  Segment,
  Track,
  TrackKey,
} from './model.js';
import { turnedBox } from './shapes.js';

/** A box at a key frame. */
export interface Sample {
  readonly track: Track;
  /** Seconds from the first frame of the video. */
  readonly time: number;
  /** Fractions of the width and height of the image. */
  readonly box: Corners;
  readonly attributes: Attributes;
}

/** What is known about a video after the search. */
export interface VideoFacts {
  /** Null if boxes are fractions. */
  readonly size: Size | null;
  /** Rate of the frames that the file counts; 1 if it counts seconds. */
  readonly fps: number;
  readonly firstFrame: number;
}

/** Steps of a box that stays for a stretch of time, in seconds, unless the user chooses others. */
const DEFAULT_STEP = 1;
/** Numbers of frames and seconds that differ by less are the same. */
const SAME = 1e-6;
/** Seconds by which a drawn box may be away from a step: half a frame of a usual video. */
const NEAR = 0.02;

/** The boxes of a video. `step` is the time between key frames in seconds; without it, each frame with a drawn box is one. */
export function sampleVideo(
  imported: Imported,
  video: ImportedVideo,
  facts: VideoFacts,
  step: number | null,
): Sample[] {
  const { losses } = imported;
  const tracks = imported.tracks
    .filter((track) => track.video === video)
    .map((track) => ({ track, keys: track.keys.map((key) => toFractions(key, track, facts, losses)) }));
  const end = video.lastFrame ?? lastTime(tracks.map(({ keys }) => keys));
  const times = step === null ? drawnTimes(tracks, video) : gridTimes(facts, end, step);
  const hasFrames = video.clock === 'frames';
  const tolerance = step === null ? SAME : hasFrames ? 0.5 : NEAR;
  const sampled = tracks.map(({ track, keys }) => {
    return { track, keys, found: boxesAt({ keys, times, end: track.staysToEnd ? end : null, tolerance }) };
  });
  const frames = nearestFrames(sampled.flatMap(({ found }) => found));
  const samples = sampled.flatMap(({ track, keys, found: all }) => {
    const found = all.filter(({ at, from }) => !hasFrames || from === at || from === frames.get(at));
    if (step !== null && found.length === 0 && keys.some(({ visible }) => visible))
      losses.add('left', track.where, 'box between the times of --step', 'boxes between the times of --step');
    return found.map(({ at, box, attributes }) => ({
      track,
      time: (at - facts.firstFrame) / facts.fps,
      box,
      attributes,
    }));
  });
  const segments = imported.segments.filter((segment) => segment.video === video);
  return withSegments(samples, segments, facts, losses);
}

function toFractions(key: TrackKey, track: Track, { size }: VideoFacts, losses: Losses): TrackKey {
  const [x1, y1, x2, y2] = key.box;
  if (track.video.units === 'pixels')
    return { ...key, box: [x1 / size!.width, y1 / size!.height, x2 / size!.width, y2 / size!.height] };
  if (!key.turn) return key;
  if (size === null) {
    losses.add(
      'kept',
      track.where,
      'rotated box in a video of unknown size',
      'rotated boxes in videos of unknown size',
    );
    return key;
  }
  losses.add('boxed', track.where, 'rotated box', 'rotated boxes');
  const { width: w, height: h } = size;
  const [a, b, c, d] = turnedBox([x1 * w, y1 * h, x2 * w, y2 * h], key.turn, [x1 * w, y1 * h]);
  return { ...key, box: [a / w, b / h, c / w, d / h] };
}

function lastTime(keys: readonly (readonly TrackKey[])[]): number {
  return keys.reduce((end, list) => list.reduce((max, { at }) => Math.max(max, at), end), 0);
}

/** The times at which someone drew a box; whole seconds, too, while a box stays. */
function drawnTimes(tracks: readonly { keys: readonly TrackKey[] }[], video: ImportedVideo): number[] {
  const times = new Set<number>();
  for (const { keys } of tracks) {
    keys.forEach(({ at, drawn, visible, continues }, i) => {
      if (drawn && visible) times.add(at);
      const next = keys[i + 1];
      if (video.clock !== 'seconds' || !continues || !next) return;
      for (let t = Math.ceil(at / DEFAULT_STEP) * DEFAULT_STEP; t <= next.at; t += DEFAULT_STEP) times.add(t);
    });
  }
  return [...times].sort((a, b) => a - b);
}

function gridTimes({ fps, firstFrame }: VideoFacts, end: number, step: number): number[] {
  const number = Math.floor(((end - firstFrame) / fps + SAME) / step) + 1;
  return Array.from({ length: Math.max(0, number) }, (_, i) => firstFrame + i * step * fps);
}

interface BoxAt {
  readonly at: number;
  /** The time at which it was drawn; `at` for an interpolated box. */
  readonly from: number;
  readonly box: Corners;
  readonly attributes: Attributes;
}

/** The boxes of a track at some of the sorted `times`; `end` is the time until which its last box stays, or null. */
function boxesAt({
  keys,
  times,
  end,
  tolerance,
}: {
  keys: readonly TrackKey[];
  times: readonly number[];
  end: number | null;
  tolerance: number;
}): BoxAt[] {
  if (keys.length === 0) return [];
  const found: BoxAt[] = [];
  const last = Math.max(keys[keys.length - 1].at, end ?? Number.NEGATIVE_INFINITY) + tolerance;
  let index = -1;
  for (let t = firstIndexFrom(times, keys[0].at - tolerance); t < times.length && times[t] <= last; t++) {
    while (index + 1 < keys.length && keys[index + 1].at <= times[t] + SAME) index++;
    const box = boxAt(keys, index, times[t], { end, tolerance });
    if (box) found.push({ from: times[t], ...box, at: times[t] });
  }
  return found;
}

function firstIndexFrom(times: readonly number[], from: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The box at a time; `index` is the last key at or before it. */
function boxAt(
  keys: readonly TrackKey[],
  index: number,
  at: number,
  { end, tolerance }: { end: number | null; tolerance: number },
): (Pick<BoxAt, 'box' | 'attributes'> & { from?: number }) | null {
  const [key, next] = [keys.at(index < 0 ? keys.length : index), keys.at(index + 1)];
  if (key && at - key.at <= SAME) return key.visible ? key : null;
  if (key?.visible && key.continues) {
    if (next) return { box: between(key, next, at), attributes: key.attributes };
    if (end !== null && at <= end + SAME) return key;
  }
  // Without interpolation, the nearest drawn box counts.
  const near = [key, next].find(
    (one) => one?.visible && Math.abs(one.at - at) <= tolerance + SAME && !key?.continues,
  );
  return near ? { ...near, from: near.at } : null;
}

/**
 * Time → the time at which the boxes that stand for it were drawn: the nearest, or the earlier of two. If people have no tracks,
 * boxes from two frames would show each of them twice.
 */
function nearestFrames(found: readonly BoxAt[]): Map<number, number> {
  const nearest = new Map<number, number>();
  for (const { at, from } of found) {
    const best = nearest.get(at) ?? Number.POSITIVE_INFINITY;
    const closer = Math.abs(best - at) - Math.abs(from - at);
    if (from !== at && (closer > SAME || (closer >= -SAME && from < best))) nearest.set(at, from);
  }
  return nearest;
}

function between(a: TrackKey, b: TrackKey, at: number): Corners {
  const share = (at - a.at) / (b.at - a.at);
  const [x1, y1, x2, y2] = a.box.map((value, i) => value + share * (b.box[i] - value));
  return [x1, y1, x2, y2];
}

/** Gives boxes the values of stretches of time: those that belong to their track, or if they are alone in the image. */
function withSegments(
  samples: Sample[],
  segments: readonly Segment[],
  { fps, firstFrame }: VideoFacts,
  losses: Losses,
): Sample[] {
  const added = new Map<Sample, Map<string, readonly string[]>>();
  const alone = new Map<number, number>();
  for (const { time } of samples) alone.set(time, (alone.get(time) ?? 0) + 1);
  for (const { from, to, attributes, track, where } of segments) {
    const [begin, end] = [(from - firstFrame) / fps, (to - firstFrame) / fps];
    const inside = samples.filter(({ time }) => time >= begin - SAME && time <= end + SAME);
    const meant = inside.filter((sample) =>
      track === null ? alone.get(sample.time) === 1 : sample.track === track,
    );
    if (meant.length === 0) {
      if (inside.length === 0)
        losses.add('left', where, 'stretch of time without a box', 'stretches of time without boxes');
      else
        losses.add(
          'left',
          where,
          'stretch of time with several people',
          'stretches of time with several people',
        );
    }
    for (const sample of meant) {
      const values = added.get(sample) ?? new Map<string, readonly string[]>(sample.attributes);
      added.set(sample, values);
      for (const [name, list] of attributes) {
        if (!sample.attributes.get(name)?.length) values.set(name, [...(values.get(name) ?? []), ...list]);
      }
    }
  }
  return samples.map((sample) => ({ ...sample, attributes: added.get(sample) ?? sample.attributes }));
}
