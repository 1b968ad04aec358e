/** @file What an evaluation says, shared by everything that computes, writes or shows it. */
import type { ClipInfo } from '../data/clip/clip.js';
import type { Detections } from '../model/inference.js';

/** One action class. */
export interface ClassResult {
  /** 1-based, as in the label map. */
  readonly id: number;
  readonly name: string;
  /** Average precision at IoU 0.5; null where the class has no ground truth. */
  readonly ap: number | null;
  readonly numGroundTruth: number;
  /** The precision-recall curve, one point per detection in order of falling score. */
  readonly curve: {
    readonly scores: Float64Array;
    readonly precision: Float64Array;
    readonly recall: Float64Array;
  };
}

export interface AvaResults {
  /** Mean of the classes that have ground truth; null where none has. */
  readonly mAP: number | null;
  /** In the order of the label map. */
  readonly perClass: readonly ClassResult[];
}

/** What the model found in one clip. */
export interface ClipDetections {
  readonly clip: ClipInfo;
  readonly detections: Detections;
}

/** One evaluation of a model on the test lists. */
export interface EvaluationReport {
  /** Training steps that the model had seen. */
  readonly iteration: number;
  readonly results: AvaResults;
  readonly clips: readonly ClipDetections[];
  readonly seconds: number;
  /** Whether it is the best of the run so far. */
  readonly best: boolean;
  /** The folder that detections.csv, results.json and the other files of this evaluation are in. */
  readonly folder: string;
}
