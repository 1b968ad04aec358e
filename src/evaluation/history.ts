/** @file All evaluations of a run: one line each in OUTPUT_DIR/evaluations.jsonl. */
import { appendFileSync, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readLines } from '../data/text_lines.js';
import { type ResultsJson, resultsJson } from './results.js';
import type { EvaluationReport } from './types.js';

const FILE = 'evaluations.jsonl';

/** One line of evaluations.jsonl. */
export interface EvaluationLine extends ResultsJson {
  iteration: number;
  clips: number;
  seconds: number;
  /** Whether it was the best so far. */
  best: boolean;
  /** The folder of its files, relative to OUTPUT_DIR. */
  folder: string;
}

/** The folder of the evaluation after so many steps. */
export function evaluationFolder(outputDir: string, iteration: number): string {
  return join(outputDir, 'evaluation', `iteration_${String(iteration).padStart(7, '0')}`);
}

export function recordEvaluation(outputDir: string, report: EvaluationReport): void {
  const line: EvaluationLine = {
    iteration: report.iteration,
    ...resultsJson(report.results),
    clips: report.clips.length,
    seconds: report.seconds,
    best: report.best,
    folder: relative(outputDir, report.folder),
  };
  appendFileSync(join(outputDir, FILE), `${JSON.stringify(line)}\n`);
}

/** The evaluations of a run in order of their iteration; of several with one iteration the last one counts. */
export function readEvaluations(outputDir: string): EvaluationLine[] {
  const path = join(outputDir, FILE);
  if (!existsSync(path)) return [];
  const found = new Map<number, EvaluationLine>();
  for (const text of readLines(path, 'list of evaluations')) {
    const line = parse(text);
    if (line) found.set(line.iteration, line);
  }
  return [...found.values()].sort((a, b) => a.iteration - b.iteration);
}

/** A line that a crash cut short is no line. */
function parse(text: string): EvaluationLine | null {
  try {
    return JSON.parse(text) as EvaluationLine;
  } catch {
    return null;
  }
}

/** The best mAP up to an iteration, or null. */
export function bestSoFar(outputDir: string, iteration: number): number | null {
  const values = readEvaluations(outputDir).flatMap((line) =>
    line.iteration <= iteration && line.mAP !== null ? [line.mAP] : [],
  );
  return values.length ? Math.max(...values) : null;
}
