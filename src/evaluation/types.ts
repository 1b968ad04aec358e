/** @file Results of an evaluation, for all code that computes, writes or shows them. */
import type { ClipInfo } from '../data/clip/clip.js';
import type { LeftOut } from '../data/datasets/missing_data.js';
import type { Detections } from '../model/inference.js';

/** One action class. */
export interface ClassResult {
  /** 1-based, as in the label map. */
  readonly id: number;
  readonly name: string;
  /** Average precision at IoU 0.5; null if the class has no ground truth. */
  readonly ap: number | null;
  readonly numGroundTruth: number;
  /** The precision-recall curve, one point per detection in descending order of scores. */
  readonly curve: {
    readonly scores: Float64Array;
    readonly precision: Float64Array;
    readonly recall: Float64Array;
  };
}

export interface AvaResults {
  /** Mean over the classes with ground truth; null if there are none. */
  readonly mAP: number | null;
  /** Classes in the order of the label map. */
  readonly perClass: readonly ClassResult[];
  /** What the evaluation leaves out because it is missing (DATA.MISSING skip). */
  readonly leftOut?: LeftOut;
}

/** The model's detections in one clip. */
export interface ClipDetections {
  readonly clip: ClipInfo;
  readonly detections: Detections;
}

/** One evaluation of a model on the test lists. */
export interface EvaluationReport {
  /** Number of training steps of the model. */
  readonly iteration: number;
  readonly results: AvaResults;
  readonly clips: readonly ClipDetections[];
  readonly seconds: number;
  /** Whether it is the best of the run so far. */
  readonly best: boolean;
  /** Folder of detections.csv, results.json and the other files of this evaluation. */
  readonly folder: string;
}
