/** @file `stmixer test`: a trained model on the test lists, from its configuration to its exit code. */
import { loadModelWeights } from '../checkpoint/model_weights.js';
import type { LoadedConfig } from '../config/index.js';
import { type EngineRequest, selectEngine } from '../engine/index.js';
import { bestSoFar, recordEvaluation } from '../evaluation/history.js';
import { resultsTable } from '../evaluation/results.js';
import { TestSet } from '../evaluation/test_set.js';
import { Detector } from '../model/detector.js';
import { StopSignals } from '../util/signals.js';
import { writeEnvironment } from './environment.js';
import { evaluateModel } from './evaluation.js';
import { openLog } from './run_log.js';

export interface TestOptions extends EngineRequest {
  verbose: boolean;
}

/** Evaluates MODEL.WEIGHT, or without it the last checkpoint in OUTPUT_DIR. Returns the exit code. */
export async function test({ config: cfg, warnings }: LoadedConfig, options: TestOptions): Promise<number> {
  const testSet = new TestSet(cfg);
  const engine = await selectEngine({ ...options, threads: cfg.ENGINE.THREADS });
  const { log, bars } = openLog(cfg.OUTPUT_DIR, options.verbose);
  log.info({ engine }, `engine: ${engine.description}`);
  for (const warning of [...warnings, ...testSet.dataset.warnings]) log.warn(warning);
  const model = new Detector(cfg);
  const { path, iteration } = loadModelWeights(model, cfg.MODEL.WEIGHT, cfg.OUTPUT_DIR);
  log.info(`weights: ${path}`);
  writeEnvironment(cfg.OUTPUT_DIR, engine);
  const stop = new StopSignals((signal) =>
    log.warn(`${signal}: ending after this batch; once more to quit at once`),
  );
  try {
    const shouldStop = () => stop.received;
    const context = { outputDir: cfg.OUTPUT_DIR, testSet, log, bars, shouldStop };
    const steps = iteration ?? 0;
    const report = await evaluateModel(context, model, steps, bestSoFar(cfg.OUTPUT_DIR, steps));
    if (!report) return stop.exitCode;
    recordEvaluation(cfg.OUTPUT_DIR, report);
    process.stdout.write(`${resultsTable(report.results)}\n`);
    return stop.exitCode;
  } finally {
    stop.close();
  }
}
