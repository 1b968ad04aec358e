/** @file The evaluation set: the test lists, opened once, and the evaluation of models on them. */
import type { Config } from '../config/index.js';
import { requireDataFolders } from '../data/data_folders.js';
import { AvaDataset } from '../data/datasets/ava_dataset.js';
import type { Communicator } from '../distributed/communicator.js';
import type { Detector } from '../model/detector.js';
import { AvaEvaluator } from './ava_evaluator.js';
import type { EvaluationProgress } from './detect_clips.js';
import { detectTogether } from './detect_together.js';
import {
  groundTruthFiles,
  groundTruthNotes,
  groundTruthWarnings,
  readGroundTruth,
  readPresentGroundTruth,
  type SummarizedGroundTruth,
} from './evaluate_files.js';
import { writeResults } from './results.js';
import type { EvaluationReport } from './types.js';

export interface EvaluationRun {
  /** Number of training steps of the model. */
  readonly iteration: number;
  /** The best mAP of the run so far, or null. */
  readonly best: number | null;
  /** Output folder of the results. */
  readonly folder: string;
  /** Called for each clip that is left out. */
  warn(message: string): void;
  progress?(done: EvaluationProgress): void;
  /** Ends the evaluation after the current batch, without a result. */
  readonly signal?: AbortSignal;
  /** The processes that share the clips; by default this process alone. */
  readonly communicator?: Communicator;
}

export class EvaluationSet {
  readonly dataset: AvaDataset;
  /** Mismatches between lists, annotations, label map and exclusions, one sentence each. */
  readonly warnings: readonly string[];
  /** Counts of data that is left out on purpose. */
  readonly notes: readonly string[];
  readonly #groundTruth: SummarizedGroundTruth;

  /** Reads and checks lists, annotations, label map and exclusions. Throws DataError. */
  constructor(private readonly cfg: Config) {
    requireDataFolders(cfg);
    const files = groundTruthFiles(cfg);
    const all = readGroundTruth(files);
    this.dataset = AvaDataset.open(cfg, 'test');
    const { leftOut } = this.dataset;
    this.#groundTruth = leftOut === null ? all : readPresentGroundTruth(files, leftOut);
    this.warnings = [...this.dataset.warnings, ...groundTruthWarnings(this.#groundTruth)];
    this.notes = groundTruthNotes(this.#groundTruth);
  }

  /**
   * Runs the model on all key frames and writes detections and results into the folder. Returns null after an abort. Throws
   * DataError if a prediction is not finite or a frame cannot be read.
   */
  async evaluate(model: Detector, run: EvaluationRun): Promise<EvaluationReport | null> {
    const begin = performance.now();
    const { warn, progress, signal, communicator } = run;
    const { dataset } = this;
    const clips = await detectTogether(this.cfg, model, { dataset, warn, progress, signal, communicator });
    if (clips === null) return null;
    const evaluator = new AvaEvaluator(this.#groundTruth);
    for (const clip of clips) evaluator.addClip(clip);
    const { leftOut } = this.dataset;
    const results = { ...evaluator.results(), ...(leftOut && { leftOut }) };
    writeResults(run.folder, results, clips);
    return {
      iteration: run.iteration,
      results,
      clips,
      seconds: (performance.now() - begin) / 1000,
      best: results.mAP !== null && (run.best === null || results.mAP > run.best),
      folder: run.folder,
    };
  }
}
