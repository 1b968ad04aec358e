/** @file Options of a detection, and their defaults. */
import type { Config } from '../config/index.js';
import type { EngineRequest } from '../engine/index.js';
import { NEVER_ABORTED } from '../util/abort.js';
import { type Reporter, SILENT } from '../util/log.js';

export interface DetectOptions extends Pick<EngineRequest, 'engine' | 'device'> {
  /** A video, a folder of frames or an image. */
  readonly input: string;
  /** Folder of the results. */
  readonly out: string;
  /** Checkpoint file; MODEL.WEIGHT by default. */
  readonly weights?: string;
  /** Action id → name; by default those of the label map, else those in the checkpoint. */
  readonly classNames?: ReadonlyMap<number, string>;
  /** Second of the beginning of the input in detections.csv; by default that of the data set's annotations, else 0. */
  readonly firstSecond?: number;
  /** Seconds from one key frame to the next; AVA.KEY_FRAME_STEP by default. */
  readonly step?: number;
  /** Minimum score of a person; MODEL.STM.PERSON_THRESHOLD by default. */
  readonly personThreshold?: number;
  /** Minimum score of an action; 0.3 by default. */
  readonly actionThreshold?: number;
  /** Maximum number of actions per person; 3 by default. */
  readonly topActions?: number;
  /** Whether to draw the sampling points of the decoder's stages; off by default. */
  readonly showSampling?: boolean;
  /** Whether to write detections.mp4; on by default. */
  readonly video?: boolean;
  /** Font file for characters that the package's fonts lack. */
  readonly font?: string;
  /** Ends the work; results so far are written. */
  readonly signal?: AbortSignal;
  readonly report?: Reporter;
}

export type ResolvedOptions = Required<Omit<DetectOptions, Optional>> & Pick<DetectOptions, Optional>;

type Optional = 'firstSecond' | 'weights' | 'classNames' | 'engine' | 'device' | 'font';

/** The options with defaults for all that are not given. */
export function withDefaults(cfg: Config, options: DetectOptions): ResolvedOptions {
  return {
    ...options,
    step: options.step ?? cfg.AVA.KEY_FRAME_STEP,
    personThreshold: options.personThreshold ?? cfg.MODEL.STM.PERSON_THRESHOLD,
    actionThreshold: options.actionThreshold ?? 0.3,
    topActions: options.topActions ?? 3,
    showSampling: options.showSampling ?? false,
    video: options.video ?? true,
    signal: options.signal ?? NEVER_ABORTED,
    report: options.report ?? SILENT,
  };
}
