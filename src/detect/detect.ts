/** @file Detecting people and their actions in a video or in images, and writing and drawing the results. */
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import {
  contradiction,
  findModelWeights,
  loadModelWeights,
  openModelWeights,
  requestOf,
  type WeightsOrigin,
  type WeightsRequest,
} from '../checkpoint/model_weights.js';
import type { Config } from '../config/index.js';
import { noLabelMap, readNotedLabelNames } from '../data/datasets/label_names.js';
import { setUserFont } from '../drawing/fonts.js';
import { undrawnNamesHint } from '../drawing/names.js';
import { engineSettings, selectEngine } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import { commandLock, FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { findEncoder } from '../media/video_writer.js';
import { Detector } from '../model/detector.js';
import type { Reporter } from '../util/log.js';
import { firstSecondOf } from './first_second.js';
import { type Frames, openInput, requireInput, requireRoomFor } from './input.js';
import { KeyFrameDetection } from './key_frame_detection.js';
import { listKeyFrames } from './key_frames.js';
import { type DetectOptions, type ResolvedOptions, withDefaults } from './options.js';
import {
  type DetectionFile,
  type KeyFrameResult,
  oldResults,
  removeOldResults,
  VIDEO_FILE,
  writeResultFiles,
} from './result_files.js';
import { type VideoOfResults, videoOfResults } from './video_of_results.js';

export interface DetectSummary {
  /** Number of key frames done. */
  readonly keyFrames: number;
  readonly people: number;
  /** Time for loading clips, running the model and drawing. */
  readonly seconds: number;
  readonly stopped: boolean;
  /** Results of the key frames, in order. */
  readonly results: readonly KeyFrameResult[];
}

/**
 * Loads the weights of a model and runs it on the key frames of the input. Throws CheckpointError without usable weights, DataError
 * without usable input, or the reason of an abort before the first key frame.
 */
export async function detect(cfg: Config, options: DetectOptions): Promise<DetectSummary> {
  const { input, out } = options;
  const resolved = withDefaults(cfg, options);
  const { signal, report } = resolved;
  // Quick checks come first.
  requireInput(input);
  setUserFont(resolved.font);
  findModelWeights(weightsFor(cfg, options));
  makeOutputFolder(out, '--out');
  refuseOwnInput(input, out);
  requireRoomFor(input);
  const wait = (message: string) => report.info(message);
  const lock = await FolderLock.acquire(out, commandLock('detect'), { wait, signal });
  if (!lock) throw signal.reason;
  try {
    return await detectLocked(cfg, resolved);
  } finally {
    lock.release();
  }
}

/** The weights of the options, or those of the configuration. */
function weightsFor(cfg: Config, { weights }: Pick<DetectOptions, 'weights'>): WeightsRequest {
  const request = requestOf(cfg);
  return { ...request, weight: weights ?? request.weight };
}

/** Throws ConfigError if results would be mixed with the frames of the input, or replace the input itself. */
function refuseOwnInput(input: string, out: string): void {
  const real = realpathSync(input);
  const isInput = (path: string) => existsSync(path) && realpathSync(path) === real;
  if (![out, ...oldResults(out)].some(isInput)) return;
  throw new ConfigError(
    `--out: ${out}: results there would be mixed with the input ${input} or replace it; choose another folder`,
  );
}

async function detectLocked(cfg: Config, options: ResolvedOptions): Promise<DetectSummary> {
  const { report, signal } = options;
  const { engine, device } = options;
  const { description } = await selectEngine({ engine, device, ...engineSettings(cfg) });
  report.info(`engine: ${description}`);
  const weights = openModelWeights(weightsFor(cfg, options));
  const difference = contradiction(weights.path, weights.info, cfg);
  if (difference !== null) report.warn(difference);
  const model = new Detector(cfg).train(false);
  const origin = loadModelWeights(model, weights);
  reportWeights(origin, report);
  const frames = await openInput(options.input, {
    fps: cfg.AVA.FPS,
    signal,
    extracted: (done, total) => report.progress(done, total, 'frames extracted'),
  });
  try {
    reportInput(frames, report);
    return await detectFrames(cfg, { model, origin, frames }, options);
  } finally {
    frames.close();
    model.dispose();
  }
}

function reportWeights({ path, iteration, note, warning, warnings }: WeightsOrigin, report: Reporter): void {
  if (note !== undefined) report.info(note);
  if (warning !== undefined) report.warn(warning);
  for (const text of warnings) report.warn(`${path}: ${text}`);
  report.info(`weights: ${path}${iteration === null ? '' : ` (iteration ${iteration})`}`);
}

function reportInput(frames: Frames, report: Reporter): void {
  for (const note of frames.notes) report.info(`note: ${note}`);
  for (const warning of frames.warnings) report.warn(warning);
}

interface Subject {
  readonly model: Detector;
  readonly origin: WeightsOrigin;
  readonly frames: Frames;
}

async function detectFrames(
  cfg: Config,
  { model, origin, frames }: Subject,
  options: ResolvedOptions,
): Promise<DetectSummary> {
  const { out, report } = options;
  const keyFrames = listKeyFrames(frames.paths.length, frames.fps, options.step);
  report.info(
    `input: ${describeInput(frames)}; ${keyFrames.length} key ${keyFrames.length === 1 ? 'frame' : 'frames'}`,
  );
  const head = describeRun({ origin, frames }, chooseFirstSecond(cfg, frames, options), options);
  const labelMap = options.classNames ? null : readNotedLabelNames(cfg);
  const names = options.classNames ?? labelMap?.names ?? origin.info?.classNames ?? null;
  if (names === null) report.warn(noLabelMap(cfg));
  if (labelMap?.note) report.info(`note: ${labelMap.note}`);
  const undrawn = undrawnNamesHint(names ?? []);
  if (undrawn !== null) report.warn(undrawn);
  removeOldResults(out);
  const video = await openVideo(frames, options);
  const begin = performance.now();
  const detection = new KeyFrameDetection({ cfg, model, frames, names, options });
  try {
    for await (const { keyFrame, boxes } of detection.run(keyFrames)) {
      await video?.add(boxes, keyFrame, keyFrames[detection.results.length]);
      report.progress(detection.results.length, keyFrames.length, 'key frames');
    }
  } finally {
    // After an error in the middle, the results so far are kept; without any, no file is written.
    const { results, detections } = detection;
    const complete = results.length === keyFrames.length;
    try {
      if (complete || results.length > 0)
        writeResultFiles(out, { ...head, complete, keyFrames: results }, frames.name, detections);
    } finally {
      await video?.close();
    }
  }
  return {
    keyFrames: detection.results.length,
    people: detection.results.reduce((sum, { people }) => sum + people.length, 0),
    seconds: (performance.now() - begin) / 1000,
    stopped: options.signal.aborted,
    results: detection.results,
  };
}

/** The part of detections.json that is known before the detection. */
function describeRun(
  { origin, frames }: Omit<Subject, 'model'>,
  firstSecond: number,
  { input, personThreshold, actionThreshold }: ResolvedOptions,
): Omit<DetectionFile, 'complete' | 'keyFrames'> {
  return {
    input,
    kind: frames.kind === 'image' ? 'picture' : frames.kind,
    fps: frames.fps,
    numFrames: frames.paths.length,
    firstSecond,
    weights: origin.path,
    iteration: origin.iteration,
    personThreshold,
    actionThreshold,
  };
}

function chooseFirstSecond(cfg: Config, frames: Frames, { firstSecond, report }: ResolvedOptions): number {
  const known = firstSecondOf(cfg, frames);
  const chosen = firstSecond ?? known ?? 0;
  if (known !== null) {
    const like = known === chosen ? ', like in the annotations' : '';
    report.info(`detections.csv: the beginning of ${frames.name} is second ${chosen}${like}`);
  }
  return chosen;
}

async function openVideo(
  frames: Frames,
  { video, out, step, report, signal }: ResolvedOptions,
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
  const path = join(out, VIDEO_FILE);
  return videoOfResults({ path, encoder: found.encoder, frames, step, report, signal });
}

function describeInput({ kind, paths, fps }: Frames): string {
  if (kind === 'image') return 'one image, shown to the model as a still';
  const count = `${paths.length} frames at ${fps} per second`;
  return kind === 'video' ? `a video, ${count}` : `a folder with ${count}`;
}
