/** @file Evaluations of a run: progress, log, files; shared by training and `stmixer test`. */
import type { Communicator } from '../distributed/communicator.js';
import type { EvaluationProgress } from '../evaluation/detect_clips.js';
import type { EvaluationRun, EvaluationSet } from '../evaluation/evaluation_set.js';
import { summary } from '../evaluation/results.js';
import type { EvaluationReport } from '../evaluation/types.js';
import type { Detector } from '../model/detector.js';
import type { Logger } from '../run/log.js';
import { roughDuration, significant } from '../util/text.js';

/** Seconds between two lines of progress where there is no bar. */
const LINE_PERIOD = 30;

/** Progress of an evaluation on a terminal. */
export interface EvaluationBar {
  update(clips: number, seconds: number): void;
  close(): void;
}

/** Shows the progress of an evaluation of `total` clips. */
export type ShowEvaluation = (total: number) => EvaluationBar;

export interface EvaluationContext {
  readonly evaluationSet: EvaluationSet;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Shows the progress; without it, lines in the log do. */
  readonly show?: ShowEvaluation;
  /** The processes that share the clips; by default this process alone. */
  readonly communicator?: Communicator;
}

/**
 * Evaluates the model, writes its files and logs the outcome; null if it was stopped. It does not count for the run until
 * it is recorded.
 */
export async function evaluateModel(
  { evaluationSet, log, signal, show, communicator }: EvaluationContext,
  model: Detector,
  { iteration, best, folder }: Pick<EvaluationRun, 'iteration' | 'best' | 'folder'>,
): Promise<EvaluationReport | null> {
  const numClips = evaluationSet.dataset.length;
  log.info(`evaluating ${numClips} clips after iteration ${iteration}`);
  const bar = show?.(numClips);
  let lastLine = 0;
  const progress = (done: EvaluationProgress) => {
    const { seconds } = done;
    const clips = Math.min(done.clips, numClips);
    bar?.update(clips, seconds);
    if (bar || seconds - lastLine < LINE_PERIOD || clips === numClips) return;
    lastLine = seconds;
    const left = roughDuration(((numClips - clips) * seconds) / clips);
    log.info(`evaluated ${clips}/${numClips} clips  ${significant(clips / seconds, 3)} clips/s  eta ${left}`);
  };
  try {
    const report = await evaluationSet.evaluate(model, {
      iteration,
      best,
      folder,
      warn: (message) => log.warn(message),
      progress,
      signal,
      communicator,
    });
    if (report === null) {
      log.info('evaluation stopped');
      return null;
    }
    const lost = numClips - report.clips.length;
    if (lost > 0)
      log.warn(`${lost} of ${numClips} clips could not be loaded; their persons count as not found`);
    const rate = significant(report.clips.length / report.seconds, 3);
    log.info(
      { iteration, mAP: report.results.mAP },
      `${summary(report.results)}${report.best ? ' (best so far)' : ''}; ` +
        `${report.clips.length} clips in ${roughDuration(report.seconds)}, ${rate} clips/s; see ${report.folder}`,
    );
    return report;
  } finally {
    bar?.close();
  }
}
