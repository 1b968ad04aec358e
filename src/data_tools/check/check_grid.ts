/** @file The step between key frames: those that are off AVA.KEY_FRAME_STEP, and the step that fits a data set. */
import type { KeyFrame } from '../../data/datasets/ava_annotations.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { isOnGrid, readableTime, type TimeBase } from '../../data/time.js';
import type { Findings } from './findings.js';

/** Fraction of the key frames that must be on the grid of a step. The others are probably mistakes. */
const ENOUGH = 0.9;
/** Steps that people choose, in seconds. */
const COMMON_STEPS = [1, 0.5, 0.25, 0.2, 0.1];

/** Reports key frames that are not a whole number of steps after the first frame. */
export function checkGrid(step: number, dataset: AvaDataset, findings: Findings): void {
  const { keyFrames, timeBase, videos } = dataset;
  let off = 0;
  for (const { videoIndex, second } of keyFrames) {
    if (isOnGrid(second, step, timeBase)) continue;
    off++;
    findings.add('off-grid', () => `video ${videos[videoIndex].name}, second ${readableTime(second)}`);
  }
  if (off === 0) return;
  const fitting = fittingStep(keyFrames, step, timeBase);
  findings.advise(
    'off-grid',
    fitting === step
      ? `correct the seconds of these rows; the other key frames are a whole number of steps of ${step} s after second ` +
          `${timeBase.first}`
      : `set AVA.KEY_FRAME_STEP ${fitting}, so that \`stmixer detect\` looks at the same times`,
  );
}

/** The step that nearly all key frames are on: the given one, or the largest other one; the given one if there is none. */
export function fittingStep(
  keyFrames: readonly Pick<KeyFrame, 'second'>[],
  step: number,
  base: Pick<TimeBase, 'first' | 'fps'>,
): number {
  const ofFrames = Array.from({ length: base.fps }, (_, i) => readable((base.fps - i) / base.fps));
  const candidates = [...COMMON_STEPS, ...ofFrames].sort((a, b) => b - a);
  const fits = (candidate: number) => {
    const on = keyFrames.filter(({ second }) => isOnGrid(second, candidate, base)).length;
    return on >= ENOUGH * keyFrames.length;
  };
  return [step, ...candidates].find(fits) ?? step;
}

/** A step in milliseconds, which stands for the exact one. */
function readable(step: number): number {
  return Number(step.toFixed(3));
}
