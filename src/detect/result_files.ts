/** @file Result files of a detection: detections.json and detections.csv. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exactTime } from '../data/time.js';
import { writeDetections } from '../evaluation/detections_csv.js';
import type { FoundPerson } from '../evaluation/people.js';
import { writeResult } from '../files/write_file.js';
import type { Detections } from '../model/inference.js';

/** Detections at one key frame, an entry of detections.json. */
export interface KeyFrameResult {
  /** Seconds from the beginning of the input. */
  readonly second: number;
  /** Index of its frame. */
  readonly frame: number;
  /** Name of the drawn image, which is beside detections.json. */
  readonly picture: string;
  readonly people: readonly FoundPerson[];
  /** Number of predictions that were left out because they are not finite. */
  readonly notFinite: number;
  /** Number of people who were left out because their box has no area. */
  readonly withoutArea: number;
}

/** The content of detections.json. */
export interface DetectionFile {
  readonly input: string;
  readonly kind: 'video' | 'folder' | 'picture';
  readonly fps: number;
  readonly numFrames: number;
  /** The second of the beginning of the input in detections.csv. */
  readonly firstSecond: number;
  readonly weights: string;
  /** Number of training steps of the weights; null if unknown. */
  readonly iteration: number | null;
  readonly personThreshold: number;
  readonly actionThreshold: number;
  /** False if the detection was stopped or failed before its last key frame. */
  readonly complete: boolean;
  readonly keyFrames: readonly KeyFrameResult[];
}

const JSON_FILE = 'detections.json';
const CSV_FILE = 'detections.csv';
/** The frames of the input with boxes, as a video. */
export const VIDEO_FILE = 'detections.mp4';
const IMAGE = /^(?:key|sampling)_\d{6,}\.png$/;

/** Paths of existing files in a folder that a detection would replace. */
export function oldResults(folder: string): string[] {
  const isOld = (name: string) => [JSON_FILE, CSV_FILE, VIDEO_FILE].includes(name) || IMAGE.test(name);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && isOld(entry.name))
    .map((entry) => join(folder, entry.name));
}

/** Deletes the results of an earlier detection, whose images would be mixed with those of this one. */
export function removeOldResults(folder: string): void {
  for (const path of oldResults(folder)) rmSync(path, { force: true });
}

/**
 * Writes both files. The csv is in AVA's format, for evaluation: it has every box above the threshold with the scores of all
 * actions, and its seconds count from `firstSecond`.
 */
export function writeResultFiles(
  folder: string,
  file: DetectionFile,
  videoName: string,
  detections: readonly Detections[],
): void {
  const json = JSON.stringify(file, plain, 1);
  writeResult(join(folder, JSON_FILE), `${json}\n`);
  const clips = detections.map((found, clipId) => ({
    clip: {
      clipId,
      videoIndex: 0,
      videoName,
      second: exactTime(file.firstSecond + file.keyFrames[clipId].second),
    },
    detections: found,
  }));
  writeDetections(join(folder, CSV_FILE), clips);
}

/** Replaces typed arrays with lists, and rounds numbers to five decimals, which float32 represents. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Float32Array) return Array.from(value);
  return typeof value === 'number' ? Number(value.toFixed(5)) : value;
}
