/** @file A trained model on the test lists: its weights, its evaluation, and the files of both. */
import { readdirSync } from 'node:fs';
import { parse, resolve } from 'node:path';
import { isCheckpointFile } from '../checkpoint/checkpoint_names.js';
import {
  contradiction,
  findModelWeights,
  loadModelWeights,
  openModelWeights,
  requestOf,
} from '../checkpoint/model_weights.js';
import type { LoadedConfig } from '../config/index.js';
import { requireDataFolders } from '../data/data_folders.js';
import { ALONE, type ProcessGroup } from '../distributed/process_group.js';
import { type EngineRequest, selectEngine, settingsOfProcess } from '../engine/index.js';
import { EvaluationSet } from '../evaluation/evaluation_set.js';
import type { EvaluationReport } from '../evaluation/types.js';
import { isIn } from '../files/paths.js';
import { Detector } from '../model/detector.js';
import { writeEnvironment } from '../run/environment.js';
import { bestSoFar, recordEvaluation } from '../run/evaluations.js';
import { logEngine, RunLog } from '../run/log.js';
import { evaluationFolder, TEST_LOCK } from '../run/run_folder.js';
import { weightsOfOwnRun } from '../run/run_weights.js';
import { NEVER_ABORTED } from '../util/abort.js';
import { announced, announcedLater } from './announced.js';
import { inOutputDir } from './in_output_dir.js';
import { shareWeights } from './processes/evaluation_team.js';
import { shareConfig } from './processes/share_config.js';
import { evaluateModel, type ShowEvaluation } from './run_evaluation.js';
import { workerWarnings } from './worker_warning.js';

export interface TestOptions extends EngineRequest {
  /** Log of the evaluation; by default only log.jsonl gets it. */
  readonly log?: RunLog;
  /** Ends the evaluation after the batch; its reason is logged. */
  readonly signal?: AbortSignal;
  /** Shows the progress of the evaluation; by default lines in the log do. */
  readonly showEvaluation?: ShowEvaluation;
  /** The processes that share the clips, of which this is process 0; by default this process alone. */
  readonly processes?: ProcessGroup;
}

/**
 * Evaluates MODEL.WEIGHT, or without it the last checkpoint in OUTPUT_DIR; with a run's own config.yaml, its best one.
 * Returns null if the signal ended it. Throws UserError.
 */
export async function evaluateCheckpoint(
  loaded: LoadedConfig,
  options: TestOptions = {},
): Promise<EvaluationReport | null> {
  const { log = new RunLog(), signal = NEVER_ABORTED } = options;
  requireDataFolders(loaded.config);
  const own = weightsOfOwnRun(loaded);
  const place = { lock: TEST_LOCK, log: log.logger, signal };
  const processes = options.processes ?? ALONE;
  let isBegun = false;
  const report = await inOutputDir(loaded.config.OUTPUT_DIR, place, () => {
    isBegun = true;
    return evaluateLocked(own, loaded.warnings, { ...options, log, signal, processes });
  });
  if (!isBegun) await shareConfig(processes, null);
  return report;
}

async function evaluateLocked(
  { config: cfg, note, warning }: ReturnType<typeof weightsOfOwnRun>,
  warnings: LoadedConfig['warnings'],
  options: TestOptions & Required<Pick<TestOptions, 'log' | 'signal' | 'processes'>>,
): Promise<EvaluationReport | null> {
  const { engine: name, device, verbose, signal, processes } = options;
  const weightsRequest = requestOf(cfg);
  findModelWeights(weightsRequest);
  const log = options.log.logger;
  const evaluationSet = announced(log, 'reading the test lists', () => new EvaluationSet(cfg));
  const warn = (message: string) => log.warn(message);
  await shareConfig(processes, cfg);
  const request = { engine: name, device, verbose, ...settingsOfProcess(cfg, processes.local), warn };
  const engine = await announcedLater(log, 'starting the engine', () => selectEngine(request));
  options.log.open(cfg.OUTPUT_DIR);
  logEngine(log, engine);
  if (note !== null) log.info(note);
  if (warning !== undefined) log.warn(warning);
  const tooManyWorkers = workerWarnings(cfg.DATALOADER.NUM_WORKERS, processes.local.onSameCores);
  for (const line of [...warnings, ...tooManyWorkers, ...evaluationSet.warnings]) log.warn(line);
  for (const line of evaluationSet.notes) log.info(`evaluation: ${line}`);
  const model = announced(log, 'building the model', () => new Detector(cfg));
  const weights = openModelWeights(weightsRequest);
  const difference = contradiction(weights.path, weights.info, cfg);
  if (difference !== null) log.warn(difference);
  const { path, iteration, ...found } = announced(log, 'loading the weights', () =>
    loadModelWeights(model, weights),
  );
  if (found.note !== undefined) log.info(found.note);
  if (found.warning !== undefined) log.warn(found.warning);
  for (const warning of found.warnings) log.warn(`${path}: ${warning}`);
  log.info(`weights: ${path}`);
  // Results of other weights are no evaluations of the run in the folder.
  const holdsRun = readdirSync(cfg.OUTPUT_DIR).some(isCheckpointFile);
  const isForeign = holdsRun && !isIn(path, cfg.OUTPUT_DIR);
  // A run's own file says on which machine it was trained.
  if (!holdsRun) writeEnvironment(cfg.OUTPUT_DIR, engine, processes.size);
  const steps = iteration ?? 0;
  const { communicator } = processes;
  await shareWeights(model.namedState(), communicator);
  const context = { evaluationSet, log, signal, show: options.showEvaluation, communicator };
  const report = await evaluateModel(context, model, {
    iteration: steps,
    best: bestSoFar(cfg.OUTPUT_DIR, steps),
    folder: evaluationFolder(cfg.OUTPUT_DIR, isForeign ? foreignName(path) : steps),
  });
  if (report && !isForeign) recordEvaluation(cfg.OUTPUT_DIR, report);
  return report;
}

/** A name for the results of weights that lie elsewhere, e.g. `of_run_7_model_final`. */
function foreignName(path: string): string {
  const { dir, name } = parse(resolve(path));
  return `of_${parse(dir).base}_${name}`;
}
