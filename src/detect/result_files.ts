/** @file detections.json and detections.csv. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDetections } from '../evaluation/ava_csv.js';
import type { FoundPerson } from '../evaluation/people.js';
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
}

/** The content of detections.json. */
export interface DetectionFile {
  readonly input: string;
  readonly kind: 'video' | 'folder' | 'picture';
  readonly fps: number;
  readonly numFrames: number;
  readonly weights: string;
  /** Training steps that the weights had seen; null where they do not say. */
  readonly iteration: number | null;
  readonly personThreshold: number;
  readonly actionThreshold: number;
  readonly keyFrames: readonly KeyFrameResult[];
}

/**
 * Writes both files. The csv has AVA's form and, as evaluation wants it, every box above the threshold with the scores of
 * all actions; its seconds count from the beginning of the input.
 */
export function writeResultFiles(
  folder: string,
  file: DetectionFile,
  videoName: string,
  detections: readonly Detections[],
): void {
  const json = JSON.stringify(file, plain, 1);
  writeFileSync(join(folder, 'detections.json'), `${json}\n`);
  const clips = detections.map((found, clipId) => ({
    clip: { clipId, videoIndex: 0, videoName, second: file.keyFrames[clipId].second },
    detections: found,
  }));
  writeDetections(join(folder, 'detections.csv'), clips);
}

/** Boxes as lists, and numbers without the noise of float32: it begins after five decimals. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Float32Array) return Array.from(value);
  return typeof value === 'number' ? Number(value.toFixed(5)) : value;
}
