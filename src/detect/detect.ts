/** @file Looking for people and their actions in a video or in pictures, and writing down and drawing what is found. */
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { loadModelWeights } from '../checkpoint/model_weights.js';
import type { Config } from '../config/index.js';
import { noLabelMap, readLabelNames } from '../data/datasets/label_names.js';
import { drawBoxes } from '../drawing/draw_boxes.js';
import { drawSamplePoints } from '../drawing/sample_points.js';
import { type EngineRequest, selectEngine } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import { distinctPeople, namePeople, personBox } from '../evaluation/people.js';
import { FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { writeResult } from '../files/write_file.js';
import { findEncoder } from '../media/video_writer.js';
import { Detector } from '../model/detector.js';
import type { Detections } from '../model/inference.js';
import { type FoundPeople, findPeople, type StageSamples } from './find_people.js';
import { firstSecondOf } from './first_second.js';
import { type Frames, openInput, requireInput, requireRoomFor } from './input.js';
import { type KeyFrame, listKeyFrames, loadBatch } from './key_frames.js';
import {
  type DetectionFile,
  type KeyFrameResult,
  oldResults,
  removeOldResults,
  VIDEO_FILE,
  writeResultFiles,
} from './result_files.js';
import { VideoOfResults } from './video_of_results.js';

export interface DetectOptions extends EngineRequest {
  /** A video, a folder of frames or a picture. */
  readonly input: string;
  /** The folder of the results. */
  readonly out: string;
  /**
   * The second that detections.csv gives to the beginning of the input; null: that of the data set's annotations, see
   * firstSecondOf.
   */
  readonly firstSecond?: number | null;
  /** Seconds from one key frame to the next. */
  readonly step: number;
  /** Person score from which a box counts. */
  readonly personThreshold: number;
  /** Score from which an action is named, and how many of one person at most. */
  readonly actionThreshold: number;
  readonly topActions: number;
  readonly showSampling: boolean;
  readonly video: boolean;
  /** Ends the work; what was done until then is written. */
  readonly signal: AbortSignal;
  readonly report: DetectReporter;
}

/** Whoever wants to know how far it is. */
export interface DetectReporter {
  info(message: string): void;
  warn(message: string): void;
  /** `total` is null where it is not known. */
  progress(done: number, total: number | null, what: 'frames extracted' | 'key frames'): void;
}

export interface DetectSummary {
  readonly keyFrames: number;
  readonly people: number;
  /** Of loading, running the model and drawing. */
  readonly seconds: number;
  readonly stopped: boolean;
}

/**
 * Loads the weights that the configuration names and looks at the input. Throws CheckpointError without usable weights,
 * DataError without usable input.
 */
export async function detect(cfg: Config, options: DetectOptions): Promise<DetectSummary> {
  const { report, signal, out } = options;
  // What takes no time to notice is noticed first.
  requireInput(options.input);
  makeOutputFolder(out, '--out');
  refuseOwnInput(options.input, out);
  requireRoomFor(options.input);
  const wait = (message: string) => report.info(message);
  const lock = await FolderLock.acquire(out, { command: 'detect', wait, signal });
  if (!lock) throw signal.reason;
  try {
    return await detectLocked(cfg, options);
  } finally {
    lock.release();
  }
}

async function detectLocked(cfg: Config, options: DetectOptions): Promise<DetectSummary> {
  const { report, signal } = options;
  const engine = await selectEngine({ ...options, threads: cfg.ENGINE.THREADS });
  report.info(`engine: ${engine.description}`);
  const model = new Detector(cfg).train(false);
  const origin = loadModelWeights(model, cfg.MODEL.WEIGHT, cfg.OUTPUT_DIR);
  if (origin.note !== undefined) report.info(origin.note);
  if (origin.warning !== undefined) report.warn(origin.warning);
  report.info(
    `weights: ${origin.path}${origin.iteration === null ? '' : ` (iteration ${origin.iteration})`}`,
  );
  const frames = await openInput(options.input, {
    fps: cfg.AVA.FPS,
    signal,
    extracted: (done, total) => report.progress(done, total, 'frames extracted'),
  });
  try {
    for (const note of frames.notes) report.info(`note: ${note}`);
    for (const warning of frames.warnings) report.warn(warning);
    const keyFrames = listKeyFrames(frames.paths.length, frames.fps, options.step);
    report.info(
      `input: ${describeInput(frames)}; ${keyFrames.length} key ${keyFrames.length === 1 ? 'frame' : 'frames'}`,
    );
    const known = firstSecondOf(cfg, frames);
    const firstSecond = options.firstSecond ?? known ?? 0;
    if (known !== null) {
      const like = known === firstSecond ? ', as in the annotations' : '';
      report.info(`detections.csv: the beginning of ${frames.name} is second ${firstSecond}${like}`);
    }
    const head = {
      input: options.input,
      kind: frames.kind,
      fps: frames.fps,
      numFrames: frames.paths.length,
      firstSecond,
      weights: origin.path,
      iteration: origin.iteration,
      personThreshold: options.personThreshold,
      actionThreshold: options.actionThreshold,
    };
    return await detectIn(cfg, model, frames, keyFrames, head, options);
  } finally {
    frames.close();
    model.dispose();
  }
}

/** Throws ConfigError where results would be among the frames of the input, or take the place of the input itself. */
function refuseOwnInput(input: string, out: string): void {
  const real = realpathSync(input);
  const isInput = (path: string) => existsSync(path) && realpathSync(path) === real;
  if (![out, ...oldResults(out)].some(isInput)) return;
  throw new ConfigError(
    `--out: ${out}: results there would be mixed with the input ${input} or take its place; choose another folder`,
  );
}

async function detectIn(
  cfg: Config,
  model: Detector,
  frames: Frames,
  keyFrames: readonly KeyFrame[],
  head: Omit<DetectionFile, 'keyFrames' | 'complete'>,
  options: DetectOptions,
): Promise<DetectSummary> {
  const { report, signal, out } = options;
  const names = readLabelNames(cfg);
  if (names === null) report.warn(noLabelMap(cfg));
  const choice = { names, threshold: options.actionThreshold, top: options.topActions };
  removeOldResults(out);
  const video = await openVideo(frames, keyFrames, options);
  const results: KeyFrameResult[] = [];
  const detections: Detections[] = [];
  const begin = performance.now();
  try {
    for await (const [keyFrame, found] of findAll(cfg, model, frames, keyFrames, options)) {
      const rows = distinctPeople(found.detections);
      const people = namePeople(found.detections, rows, choice);
      const boxes = people.map(personBox);
      const picture = `key_${String(keyFrame.frame + 1).padStart(6, '0')}.png`;
      const path = frames.paths[keyFrame.frame];
      const caption = captionOf(frames, keyFrame, people.length);
      writeResult(join(out, picture), (await drawBoxes(path, boxes, { caption })).png);
      for (const warning of omissions(keyFrame, found)) report.warn(warning);
      const { samples } = found;
      if (samples) {
        const sheet = await drawSamplePoints(path, byStage(rows.map((row) => samples[row])), boxes, caption);
        writeResult(join(out, picture.replace('key_', 'sampling_')), sheet.png);
      }
      const { notFinite, withoutArea } = found;
      results.push({ ...keyFrame, picture, people, notFinite, withoutArea });
      detections.push(found.detections);
      await video?.add(boxes);
      report.progress(results.length, keyFrames.length, 'key frames');
    }
  } finally {
    // Also after an error in the middle: what was found is kept, but nothing is no result.
    const complete = results.length === keyFrames.length;
    if (complete || results.length > 0)
      writeResultFiles(out, { ...head, complete, keyFrames: results }, frames.name, detections);
    await video?.close();
  }
  return {
    keyFrames: results.length,
    people: results.reduce((sum, { people }) => sum + people.length, 0),
    seconds: (performance.now() - begin) / 1000,
    stopped: signal.aborted,
  };
}

/** Key frames with what the model finds, until the end or until the signal; the next batch loads while one is computed. */
async function* findAll(
  cfg: Config,
  model: Detector,
  frames: Frames,
  keyFrames: readonly KeyFrame[],
  { personThreshold, showSampling, signal }: DetectOptions,
): AsyncGenerator<[KeyFrame, FoundPeople]> {
  const size = cfg.TEST.VIDEOS_PER_BATCH;
  const chunks = Array.from({ length: Math.ceil(keyFrames.length / size) }, (_, i) =>
    keyFrames.slice(i * size, (i + 1) * size),
  );
  const load = (i: number) => {
    const batch = i < chunks.length ? loadBatch(cfg, frames, chunks[i]) : null;
    // The error is for whoever waits for this batch, which is not yet anybody.
    batch?.catch(() => {});
    return batch;
  };
  let next = load(0);
  for (const [i, chunk] of chunks.entries()) {
    const batch = await next!;
    next = load(i + 1);
    const found = await findPeople(model, batch, personThreshold, showSampling);
    for (const [k, keyFrame] of chunk.entries()) {
      if (signal.aborted) return;
      yield [keyFrame, found[k]];
    }
  }
}

async function openVideo(
  frames: Frames,
  keyFrames: readonly KeyFrame[],
  { video, out, report }: DetectOptions,
): Promise<VideoOfResults | null> {
  if (!video || frames.paths.length === 1) return null;
  const found = await findEncoder();
  if ('problem' in found) {
    report.warn(`no detections.mp4: ${found.problem}`);
    return null;
  }
  if (!found.encoder.includes('264')) {
    report.warn(
      `this ffmpeg cannot write H.264; detections.mp4 is ${found.encoder}, which browsers do not play`,
    );
  }
  return new VideoOfResults(join(out, VIDEO_FILE), found.encoder, frames, keyFrames);
}

function omissions({ second }: KeyFrame, { notFinite, withoutArea }: FoundPeople): string[] {
  const lines: string[] = [];
  if (notFinite > 0) lines.push(`second ${second}: ${notFinite} predictions are not finite and left out`);
  if (withoutArea > 0) lines.push(`second ${second}: ${withoutArea} boxes have no area and are left out`);
  return lines;
}

function describeInput({ kind, paths, fps }: Frames): string {
  if (kind === 'picture') return 'one picture, shown to the model as a still';
  const count = `${paths.length} frames at ${fps} per second`;
  return kind === 'video' ? `a video, ${count}` : `a folder with ${count}`;
}

function captionOf({ name, kind }: Frames, { second, frame }: KeyFrame, people: number): string {
  const when = kind === 'picture' ? '' : ` · second ${second} · frame ${frame + 1}`;
  return `${name}${when} · ${people === 0 ? 'nobody' : `${people} ${people === 1 ? 'person' : 'people'}`}`;
}

/** Person → stage turned into stage → person. */
function byStage(samples: readonly (readonly StageSamples[])[]): StageSamples[][] {
  const numStages = samples[0]?.length ?? 0;
  return Array.from({ length: numStages }, (_, s) => samples.map((person) => person[s]));
}
