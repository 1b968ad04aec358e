/** @file detections.json and detections.csv. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDetections } from '../evaluation/ava_csv.js';
import type { FoundPerson } from '../evaluation/people.js';
import { writeResult } from '../files/write_file.js';
import type { Detections } from '../model/inference.js';

/** What was found at one key frame. */
export interface KeyFrameResult {
  /** From the beginning of the input. */
  readonly second: number;
  /** The number of its frame, from 0. */
  readonly frame: number;
  /** The drawn picture, beside detections.json. */
  readonly picture: string;
  readonly people: readonly FoundPerson[];
  /** Predictions that were left out because they are not finite. */
  readonly notFinite: number;
  /** People who were left out because their box has no area. */
  readonly withoutArea: number;
}

/** The content of detections.json. */
export interface DetectionFile {
  readonly input: string;
  readonly kind: 'video' | 'folder' | 'picture';
  readonly fps: number;
  readonly numFrames: number;
  /** The second that detections.csv gives to the beginning of the input. */
  readonly firstSecond: number;
  readonly weights: string;
  /** Training steps that the weights had seen; null where they do not say. */
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
const PICTURE = /^(?:key|sampling)_\d{6,}\.png$/;

/** The files in a folder that a detection has left or would replace. */
export function oldResults(folder: string): string[] {
  const isOld = (name: string) => [JSON_FILE, CSV_FILE, VIDEO_FILE].includes(name) || PICTURE.test(name);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && isOld(entry.name))
    .map((entry) => join(folder, entry.name));
}

/** Deletes the results of an earlier detection: its pictures would look like those of this one. */
export function removeOldResults(folder: string): void {
  for (const path of oldResults(folder)) rmSync(path, { force: true });
}

/**
 * Writes both files. The csv has AVA's form and, as evaluation wants it, every box above the threshold with the scores of
 * all actions; its seconds count from `firstSecond`.
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
      second: Number((file.firstSecond + file.keyFrames[clipId].second).toFixed(6)),
    },
    detections: found,
  }));
  writeDetections(join(folder, CSV_FILE), clips);
}

/** Boxes as lists, and numbers without the noise of float32: it begins after five decimals. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Float32Array) return Array.from(value);
  return typeof value === 'number' ? Number(value.toFixed(5)) : value;
}
