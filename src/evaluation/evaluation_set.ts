/** @file The test lists, opened once, and a model's evaluation on them. */
import type { Config } from '../config/index.js';
import { AvaDataset } from '../data/datasets/ava_dataset.js';
import { createTestLoader } from '../data/loading/loader.js';
import type { Detector } from '../model/detector.js';
import { AvaEvaluator } from './ava_evaluator.js';
import { detectAll, type EvaluationProgress } from './detect_clips.js';
import { readTruth, type Truth, truthFilesOf, truthNotes, truthWarnings } from './evaluate_files.js';
import { writeResults } from './results.js';
import type { EvaluationReport } from './types.js';

export interface EvaluationRun {
  /** Training steps that the model has seen. */
  readonly iteration: number;
  /** The best mAP of the run so far, or null. */
  readonly best: number | null;
  /** Where the results are written. */
  readonly folder: string;
  /** Told what is left out. */
  warn(message: string): void;
  progress?(done: EvaluationProgress): void;
  /** Ends the evaluation after a batch, without a result. */
  readonly signal?: AbortSignal;
}

export class TestSet {
  readonly dataset: AvaDataset;
  /** A sentence for each misfit in lists, annotations, label map and exclusions. */
  readonly warnings: readonly string[];
  /** Counts of what is left out on purpose. */
  readonly notes: readonly string[];
  readonly #truth: Truth;

  /** Reads and checks lists, annotations, label map and exclusions. Throws DataError. */
  constructor(private readonly cfg: Config) {
    this.#truth = readTruth(truthFilesOf(cfg));
    this.dataset = AvaDataset.open(cfg, 'test');
    this.warnings = [...this.dataset.warnings, ...truthWarnings(this.#truth)];
    this.notes = truthNotes(this.#truth);
  }

  /**
   * Runs the model over all key frames and writes detections and results into the folder. Returns null where it was
   * stopped. Throws DataError where a prediction is not finite or a frame cannot be read.
   */
  async evaluate(model: Detector, run: EvaluationRun): Promise<EvaluationReport | null> {
    const begin = performance.now();
    const batches = createTestLoader(this.cfg, { dataset: this.dataset, warn: run.warn });
    const settings = {
      personThreshold: this.cfg.MODEL.STM.PERSON_THRESHOLD,
      mirrored: this.cfg.AVA.TEST_FORCE_FLIP,
    };
    const clips = await detectAll(model, batches, settings, run);
    if (clips === null) return null;
    // Batches grouped by shape come in another order; of equal scores the order of the images decides.
    clips.sort((a, b) => a.clip.clipId - b.clip.clipId);
    const evaluator = new AvaEvaluator(this.#truth);
    for (const clip of clips) evaluator.addClip(clip);
    const results = evaluator.results();
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
