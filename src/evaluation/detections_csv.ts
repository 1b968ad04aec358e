/** @file Writing detections as a csv file in AVA's format. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { csvField } from '../data/datasets/csv.js';
import { timeText } from '../data/time.js';
import type { ClipDetections } from './types.js';

/** A float32 number rounded to five decimals, ties to even, like a number in AVA's csv. */
export function fiveDecimals(value: number): number {
  // 24 bits times 100,000 is exact in double precision.
  const scaled = value * 1e5;
  const below = Math.floor(scaled);
  const rest = scaled - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return (up ? below + 1 : below) / 1e5;
}

const WRITE_BYTES = 1 << 20;

/** Writes a row for each box and action, with five decimals, and CRLF like Python's csv module. */
export function writeDetections(file: string, clips: Iterable<ClipDetections>): void {
  const fd = openSync(file, 'w');
  try {
    let text = '';
    for (const clip of clips) {
      for (const rows of personRows(clip)) {
        text += rows;
        if (text.length <= WRITE_BYTES) continue;
        // Unlike writeSync, this writes all of it or throws.
        writeFileSync(fd, text);
        text = '';
      }
    }
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** The rows of each person, as one text. */
function* personRows({ clip, detections }: ClipDetections): Generator<string> {
  const { boxes, personScores, actionScores } = detections;
  const keyFrame = `${csvField(clip.videoName)},${timeText(clip.second)}`;
  const numClasses = personScores.length ? actionScores.length / personScores.length : 0;
  for (let person = 0; person < personScores.length; person++) {
    const box = [...boxes.subarray(4 * person, 4 * person + 4)].map(decimals).join();
    let rows = '';
    for (let k = 0; k < numClasses; k++)
      rows += `${keyFrame},${box},${k + 1},${decimals(actionScores[person * numClasses + k])}\r\n`;
    yield rows;
  }
}

function decimals(value: number): string {
  return fiveDecimals(value).toFixed(5);
}
