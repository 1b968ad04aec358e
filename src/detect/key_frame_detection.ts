/** @file Running the model on key frames, and drawing the results. */
import { join } from 'node:path';
import type { Config } from '../config/index.js';
import { readableTime } from '../data/time.js';
import { drawBoxes } from '../drawing/draw_boxes.js';
import { drawSamplePoints } from '../drawing/sample_points.js';
import type { DrawnBox } from '../drawing/types.js';
import { distinctPeople, namePeople, personBox } from '../evaluation/people.js';
import { writeResult } from '../files/write_file.js';
import type { Detector } from '../model/detector.js';
import type { Detections } from '../model/inference.js';
import { countOf } from '../util/text.js';
import { detectPeople, type FoundPeople, type StageSamples } from './detect_people.js';
import type { Frames } from './input.js';
import { type KeyFrame, loadBatch } from './key_frames.js';
import type { ResolvedOptions } from './options.js';
import { PersonColours } from './person_colours.js';
import type { KeyFrameResult } from './result_files.js';

export interface DetectionContext {
  readonly cfg: Config;
  readonly model: Detector;
  readonly frames: Frames;
  /** Action id → name, or null without a label map. */
  readonly names: ReadonlyMap<number, string> | null;
  readonly options: ResolvedOptions;
}

/** Detects people at key frames, writes an image for each, and collects the results. */
export class KeyFrameDetection {
  readonly results: KeyFrameResult[] = [];
  /** All detections above the threshold, one entry per result. */
  readonly detections: Detections[] = [];

  readonly #colours = new PersonColours();

  constructor(private readonly context: DetectionContext) {}

  /** Yields each key frame with the drawn boxes, until the end or an abort. */
  async *run(
    keyFrames: readonly KeyFrame[],
  ): AsyncGenerator<{ keyFrame: KeyFrame; boxes: readonly DrawnBox[] }> {
    for await (const [keyFrame, found] of this.#detect(keyFrames)) {
      yield { keyFrame, boxes: await this.#add(keyFrame, found) };
    }
  }

  /** Runs the model; the next batch loads during the computation of the current one. */
  async *#detect(keyFrames: readonly KeyFrame[]): AsyncGenerator<[KeyFrame, FoundPeople]> {
    const { cfg, model, frames, options } = this.context;
    const { personThreshold, showSampling, signal } = options;
    const size = cfg.TEST.VIDEOS_PER_BATCH;
    const chunks = Array.from({ length: Math.ceil(keyFrames.length / size) }, (_, i) =>
      keyFrames.slice(i * size, (i + 1) * size),
    );
    const load = (i: number) => {
      const batch = i < chunks.length ? loadBatch(cfg, frames, chunks[i]) : null;
      // The error is thrown when this batch is awaited below.
      batch?.catch(() => {});
      return batch;
    };
    let next = load(0);
    for (const [i, chunk] of chunks.entries()) {
      const batch = await next!;
      next = load(i + 1);
      const people = { personThreshold, withSamples: showSampling, replay: cfg.ENGINE.REPLAY };
      const found = await detectPeople(model, batch, people);
      for (const [k, keyFrame] of chunk.entries()) {
        if (signal.aborted) return;
        yield [keyFrame, found[k]];
      }
    }
  }

  /** Draws and records the people at a key frame. */
  async #add(keyFrame: KeyFrame, found: FoundPeople): Promise<DrawnBox[]> {
    const { frames, names, options } = this.context;
    const { out, report, actionThreshold, topActions } = options;
    const rows = distinctPeople(found.detections);
    const people = namePeople(found.detections, rows, { names, threshold: actionThreshold, top: topActions });
    const colours = this.#colours.assign(people.map(({ box }) => box));
    const boxes = people.map((person, i) => ({ ...personBox(person), colour: colours[i] }));
    const picture = `key_${String(keyFrame.frame + 1).padStart(6, '0')}.png`;
    const path = frames.paths[keyFrame.frame];
    const caption = captionOf(frames, keyFrame, people.length);
    writeResult(join(out, picture), (await drawBoxes(path, boxes, { caption })).png);
    for (const warning of omissions(keyFrame, found)) report.warn(warning);
    const { samples, notFinite, withoutArea } = found;
    if (samples) {
      const stages = byStage(rows.map((row) => samples[row]));
      const sheet = await drawSamplePoints(path, stages, boxes, caption);
      writeResult(join(out, picture.replace('key_', 'sampling_')), sheet.png);
    }
    this.results.push({ ...keyFrame, picture, people, notFinite, withoutArea });
    this.detections.push(found.detections);
    return boxes;
  }
}

function omissions({ second }: KeyFrame, { notFinite, withoutArea }: FoundPeople): string[] {
  const lines: string[] = [];
  const leftOut = `second ${readableTime(second)}: left out`;
  if (notFinite > 0)
    lines.push(`${leftOut} ${countOf(notFinite, 'prediction')} with values that are not finite`);
  if (withoutArea > 0) lines.push(`${leftOut} ${countOf(withoutArea, 'box', 'boxes')} without an area`);
  return lines;
}

function captionOf({ name, kind }: Frames, { second, frame }: KeyFrame, people: number): string {
  const when = kind === 'image' ? '' : ` · second ${readableTime(second)} · frame ${frame + 1}`;
  return `${name}${when} · ${people === 0 ? 'nobody' : `${people} ${people === 1 ? 'person' : 'people'}`}`;
}

/** Transposes person → stage to stage → person. */
function byStage(samples: readonly (readonly StageSamples[])[]): StageSamples[][] {
  const numStages = samples[0]?.length ?? 0;
  return Array.from({ length: numStages }, (_, s) => samples.map((person) => person[s]));
}
