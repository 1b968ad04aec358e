/** @file `stmixer test`: a trained model on the test lists, from its configuration to its exit code. */
import { readdirSync } from 'node:fs';
import { parse, resolve } from 'node:path';
import { isCheckpointFile } from '../checkpoint/checkpointer.js';
import { loadModelWeights } from '../checkpoint/model_weights.js';
import { isIn } from '../checkpoint/pointer.js';
import { weightsOfOwnRun } from '../checkpoint/run_weights.js';
import { onceMore, StopSignals } from '../cli/process/signals.js';
import type { LoadedConfig } from '../config/index.js';
import { type EngineRequest, selectEngine } from '../engine/index.js';
import { EvaluationSet } from '../evaluation/evaluation_set.js';
import { resultsTable } from '../evaluation/results.js';
import { FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { Detector } from '../model/detector.js';
import { writeEnvironment } from '../run/environment.js';
import { bestSoFar, evaluationFolder, recordEvaluation } from '../run/evaluations.js';
import type { Logger } from '../run/logger.js';
import { openLog } from '../run/run_log.js';
import { evaluateModel } from './run_evaluation.js';
import { workerWarnings } from './worker_warning.js';

export interface TestOptions extends EngineRequest {
  verbose: boolean;
}

/**
 * Evaluates MODEL.WEIGHT, or without it the last checkpoint in OUTPUT_DIR; with a run's own config.yaml, its best one.
 * Returns the exit code.
 */
export async function test(loaded: LoadedConfig, options: TestOptions): Promise<number> {
  const { OUTPUT_DIR } = loaded.config;
  let say = (line: string): void => void process.stdout.write(`${line}\n`);
  const stop = new StopSignals((signal) => say(`${signal}: ending after this batch${onceMore(signal)}`));
  let lock: FolderLock | null = null;
  try {
    const own = weightsOfOwnRun(loaded);
    makeOutputFolder(OUTPUT_DIR, 'OUTPUT_DIR');
    lock = await FolderLock.acquire(OUTPUT_DIR, { command: 'test', wait: say, arrival: stop.arrival });
    if (!lock) return stop.exitCode;
    const hear = (log: Logger) => {
      say = (line) => log.warn(line);
    };
    return await testLocked(own, { ...options, warnings: loaded.warnings, stop, hear });
  } finally {
    lock?.release();
    stop.close();
  }
}

interface LockedOptions extends TestOptions {
  readonly warnings: LoadedConfig['warnings'];
  readonly stop: StopSignals;
  /** Told the log as soon as there is one. */
  hear(log: Logger): void;
}

async function testLocked(
  { config: cfg, note, warning }: ReturnType<typeof weightsOfOwnRun>,
  { warnings, stop, hear, ...options }: LockedOptions,
): Promise<number> {
  const testSet = new EvaluationSet(cfg);
  const engine = await selectEngine({ ...options, threads: cfg.ENGINE.THREADS });
  const { log, bars } = openLog(cfg.OUTPUT_DIR, options.verbose);
  hear(log);
  log.info({ engine }, `engine: ${engine.description}`);
  if (note !== null) log.info(note);
  if (warning !== undefined) log.warn(warning);
  const tooManyWorkers = workerWarnings(cfg.DATALOADER.NUM_WORKERS);
  for (const line of [...warnings, ...tooManyWorkers, ...testSet.warnings]) log.warn(line);
  for (const line of testSet.notes) log.info(`evaluation: ${line}`);
  const model = new Detector(cfg);
  const { path, iteration, ...found } = loadModelWeights(model, cfg.MODEL.WEIGHT, cfg.OUTPUT_DIR);
  if (found.note !== undefined) log.info(found.note);
  if (found.warning !== undefined) log.warn(found.warning);
  log.info(`weights: ${path}`);
  // Results of other weights are no evaluations of the run in the folder.
  const holdsRun = readdirSync(cfg.OUTPUT_DIR).some(isCheckpointFile);
  const isForeign = holdsRun && !isIn(path, cfg.OUTPUT_DIR);
  // A run's own file says on which machine it was trained.
  if (!holdsRun) writeEnvironment(cfg.OUTPUT_DIR, engine);
  const context = { testSet, log, bars, signal: stop.signal };
  const steps = iteration ?? 0;
  const folder = evaluationFolder(cfg.OUTPUT_DIR, isForeign ? foreignName(path) : steps);
  const report = await evaluateModel(context, model, {
    iteration: steps,
    best: bestSoFar(cfg.OUTPUT_DIR, steps),
    folder,
  });
  if (!report) return stop.exitCode;
  if (!isForeign) recordEvaluation(cfg.OUTPUT_DIR, report);
  process.stdout.write(`${resultsTable(report.results)}\n`);
  return stop.exitCode;
}

/** A name for the results of weights that lie elsewhere, e.g. `of_run_7_model_final`. */
function foreignName(path: string): string {
  const { dir, name } = parse(resolve(path));
  return `of_${parse(dir).base}_${name}`;
}
