/** @file A training run from its configuration to its exit code. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  BEST_CHECKPOINT,
  Checkpointer,
  type CheckpointParts,
  iterationIn,
} from '../checkpoint/checkpointer.js';
import { isIn } from '../checkpoint/pointer.js';
import { CheckpointSaver } from '../checkpoint/saver.js';
import { onceMore, StopSignals } from '../cli/process/signals.js';
import { type Config, dumpConfig, type LoadedConfig } from '../config/index.js';
import { clipsPerStep } from '../data/data_config.js';
import { describeDataPasses } from '../data/loading/data_passes.js';
import { type BatchLoader, createTrainLoader } from '../data/loading/loader.js';
import type { TrainSampler } from '../data/loading/sampler.js';
import { type EngineInfo, type EngineRequest, engineMemory, selectEngine } from '../engine/index.js';
import { CheckpointError, ConfigError, DataError } from '../errors.js';
import { EvaluationSet } from '../evaluation/evaluation_set.js';
import { FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { SetCriterion } from '../loss/criterion.js';
import { Detector } from '../model/detector.js';
import type { ProgressBars } from '../run/console.js';
import { writeEnvironment } from '../run/environment.js';
import {
  bestSoFar,
  evaluationFolder,
  meanPrecisionAt,
  readEvaluations,
  recordEvaluation,
} from '../run/evaluations.js';
import type { Logger } from '../run/logger.js';
import { type ClearedFolder, clearOutputDir, refuseObstacles } from '../run/previous_run.js';
import { dataIdentity, packRunState } from '../run/resume_state.js';
import { openLog } from '../run/run_log.js';
import { makeLrScheduler, makeOptimizer, type Optimizer } from '../solver/index.js';
import { skipNameWarnings } from '../solver/skip_names.js';
import { residentMemory } from '../util/memory.js';
import { duration, gib, significant } from '../util/text.js';
import { CheckpointHook } from './hooks/checkpoints.js';
import { MetricsHook } from './hooks/metrics.js';
import { TensorBoardHook } from './hooks/tensorboard.js';
import { ValidationHook } from './hooks/validation.js';
import { endTraining, type Hook, runTraining } from './loop.js';
import { MemoryGuard } from './memory/guard.js';
import { NonFiniteGuard } from './nonfinite/nonfinite_guard.js';
import { checkpointParts, type RunStart, restoreState } from './restore/restore.js';
import { weightsOnlyWay } from './restore/whole_state.js';
import { evaluateModel } from './run_evaluation.js';
import { workerWarnings } from './worker_warning.js';

export interface TrainOptions extends EngineRequest {
  transfer: boolean;
  noHead: boolean;
  /** Trains also with weights that fit in part; by default they are an error. */
  allowPartial?: boolean;
  adjustLr: boolean;
  resume: boolean;
  /** Start afresh in a folder that holds a run, whose files are moved into a subfolder. */
  overwrite?: boolean;
  /** Null: that of the run which is continued, 0 for a new one. */
  seed: number | null;
  verbose: boolean;
  tensorBoard: boolean;
  /** Iterations between two histograms of every weight for TensorBoard, or null. */
  tensorBoardHistograms: number | null;
  skipFinalTest: boolean;
  skipValidation: boolean;
}

/** How a run ended that met no error. */
export interface TrainOutcome {
  exitCode: number;
  /** Whether a signal ended it. */
  stopped: boolean;
}

/** Trains as the configuration and the flags say. */
export async function train(loaded: LoadedConfig, options: TrainOptions): Promise<TrainOutcome> {
  const { config: cfg } = loaded;
  let say = (line: string): void => void process.stdout.write(`${line}\n`);
  const stop = new StopSignals((signal) =>
    say(`${signal}: finishing this step and saving${onceMore(signal)}`),
  );
  let lock: FolderLock | null = null;
  /** Null from the moment on when there is no way back to the run that was in the folder. */
  let cleared: ClearedFolder | null = null;
  try {
    makeOutputFolder(cfg.OUTPUT_DIR, 'OUTPUT_DIR');
    lock = await FolderLock.acquire(cfg.OUTPUT_DIR, { command: 'train', wait: say, arrival: stop.arrival });
    if (!lock) return outcome(stop);
    if (options.overwrite) await refuseDuringTest(cfg.OUTPUT_DIR);
    cleared = clearOutputDir(loaded, options);
    refuseObstacles(cfg.OUTPUT_DIR);
    const engine = await selectEngine({ ...options, threads: cfg.ENGINE.THREADS });
    const { log, bars } = openLog(cfg.OUTPUT_DIR, options.verbose);
    say = (line) => log.warn(line);
    log.info({ engine }, `engine: ${engine.description}`);
    if (cleared.note !== undefined) log.info(cleared.note);
    for (const warning of cleared.warnings) log.warn(warning);
    writeEnvironment(cfg.OUTPUT_DIR, engine);
    try {
      const begin = () => {
        cleared = null;
      };
      await trainLogged({ ...loaded, config: cleared.config }, options, engine, { log, bars, stop, begin });
      return outcome(stop);
    } catch (error) {
      // The command line prints it; here it is kept with the run.
      log.debug({ err: error }, 'the run ended with an error');
      throw error;
    }
  } finally {
    cleared?.restore();
    lock?.release();
    stop.close();
  }
}

function outcome({ received, name, exitCode }: StopSignals): TrainOutcome {
  // Slurm's "time is nearly up" is no failure: the run has saved all that it did.
  return { exitCode: name === 'SIGUSR1' ? 0 : exitCode, stopped: received };
}

/** Throws ConfigError while a test runs in the folder: it would write the results of the old run among those of the new one. */
async function refuseDuringTest(outputDir: string): Promise<void> {
  const lock = await FolderLock.acquire(outputDir, { command: 'test' });
  lock.release();
}

/** What a run talks to. */
interface Surroundings {
  log: Logger;
  bars: ProgressBars | null;
  stop: StopSignals;
  /** Told when everything is open and training, or its final test, begins. */
  begin(): void;
}

async function trainLogged(
  { config: cfg, warnings }: LoadedConfig,
  options: TrainOptions,
  engine: EngineInfo,
  { log, bars, stop, begin }: Surroundings,
): Promise<void> {
  const { SOLVER, OUTPUT_DIR } = cfg;
  const maxIterations = SOLVER.MAX_EPOCH * SOLVER.ITER_PER_EPOCH;
  const configYaml = dumpConfig(cfg);
  writeFileSync(join(OUTPUT_DIR, 'config.yaml'), configYaml);
  log.info({ config: cfg, options }, `output: ${OUTPUT_DIR}`);
  for (const warning of [...warnings, ...workerWarnings(cfg.DATALOADER.NUM_WORKERS)]) log.warn(warning);

  const model = new Detector(cfg);
  const criterion = new SetCriterion(cfg.MODEL.STM);
  const optimizer = makeOptimizer(cfg, model, (line) => logGroups(line, log));
  for (const line of summaries(optimizer)) log.info(line);
  for (const warning of skipNameWarnings(cfg, model)) log.warn(warning);
  const state = { model, criterion, optimizer, scheduler: makeLrScheduler(cfg, optimizer) };

  const checkpointer = new Checkpointer(OUTPUT_DIR);
  checkpointer.removeLeftovers();
  const processBytes = residentMemory();
  const start = restoreState(checkpointer, state, cfg, options, log);
  const { iteration: startIteration, seed } = start;
  refuseNothingToTrain(start, cfg, options);
  if (await stoppedEarly(stop, log)) return;
  const testSet = openTestSet(cfg, options, maxIterations, log);
  if (await stoppedEarly(stop, log)) return;

  const isOver = startIteration >= maxIterations;
  const training = isOver ? null : openTrainingData(cfg, start, log);
  if (await stoppedEarly(stop, log)) return;

  const saver = new CheckpointSaver(checkpointer, {
    retrySeconds: SOLVER.CHECKPOINT_RETRY,
    keep: SOLVER.CHECKPOINT_KEEP,
    log,
  });
  const step = { clipsAtOnce: SOLVER.VIDEOS_PER_BATCH, clipGradNorm: SOLVER.CLIP_GRAD_NORM };
  const nonFinite = new NonFiniteGuard({
    outputDir: OUTPUT_DIR,
    onNonFinite: SOLVER.ON_NONFINITE,
    limit: SOLVER.NONFINITE_LIMIT,
    seed,
    clipsAtOnce: step.clipsAtOnce,
    log,
    saveState: (iteration) => checkpoints.save(iteration),
  });
  nonFinite.inARow = start.run?.nonFiniteInARow ?? 0;
  const partsAfter = (iteration: number): CheckpointParts => {
    if (!training) return checkpointParts(state, iteration);
    const { batches, data } = training;
    const position = batches.sampler.positionOf(iteration);
    const run = { iteration, seed, nonFiniteInARow: nonFinite.inARow, position, data };
    return checkpointParts(state, iteration, packRunState(run));
  };
  const checkpoints = new CheckpointHook({
    period: SOLVER.CHECKPOINT_PERIOD * SOLVER.ITER_PER_EPOCH,
    seconds: 60 * SOLVER.CHECKPOINT_MINUTES,
    startIteration,
    maxIterations,
    save: (name, iteration) => saver.save(name, partsAfter(iteration)),
    check: () => saver.check(),
    settle: () => saver.settle(),
  });
  const metrics = new MetricsHook({
    file: join(OUTPUT_DIR, 'metrics.jsonl'),
    log,
    iterPerEpoch: SOLVER.ITER_PER_EPOCH,
    maxIterations,
    startIteration,
    memory: engineMemory,
  });
  const hooks: Hook[] = [metrics, checkpoints];
  if (bars && !isOver) hooks.push(bars.training(maxIterations, metrics));
  if (options.tensorBoard) {
    hooks.push(
      new TensorBoardHook({
        folder: join(OUTPUT_DIR, 'tensorboard'),
        log,
        configYaml,
        startIteration,
        clipsPerStep: clipsPerStep(cfg),
        model,
        histogramPeriod: options.tensorBoardHistograms,
        memory: engineMemory,
        testSet: testSet?.dataset ?? null,
      }),
    );
  }
  if (testSet) {
    const validation = { cfg, options, start, maxIterations, testSet, model, log, bars, stop };
    hooks.push(
      makeValidation(validation, hooks, async (iteration) => {
        const saved = checkpoints.savedAfter(iteration);
        if (saved) await saver.alias(saved, BEST_CHECKPOINT);
        else await saver.save(BEST_CHECKPOINT, partsAfter(iteration), { isLast: false });
      }),
    );
  }
  try {
    await pointToStart(checkpointer, start, cfg);
    begin();
    if (!training) {
      log.info(`nothing left to train: ${startIteration} of ${maxIterations} iterations are done`);
      await endTraining(hooks, startIteration);
      await saver.settle();
      return;
    }
    const { batches } = training;
    const testData = testSet?.dataset ?? null;
    const memory = new MemoryGuard({
      cfg,
      engine,
      model,
      data: batches.dataset,
      testData,
      checkpointer,
      processBytes,
    });
    memory.announce(log);
    const began = performance.now();
    const iteration = await runTraining({
      state,
      batches: memory.watched(batches),
      startIteration,
      maxIterations,
      seed,
      step,
      nonFinite,
      hooks,
      stop,
    }).catch((error) => {
      throw memory.explained(error);
    });
    await saver.settle();
    const seconds = (performance.now() - began) / 1000;
    const ended = iteration === maxIterations ? 'done' : `stopped after iteration ${iteration}`;
    log.info(
      `${ended}: ${iteration - startIteration} iterations in ${duration(seconds)}; ` +
        `loss ${significant(metrics.firstLoss, 4)} → ${significant(metrics.lastLoss, 4)}; ` +
        `peak memory ${gib(process.resourceUsage().maxRSS * 1024)}; see ${OUTPUT_DIR}`,
    );
  } finally {
    await saver.close();
  }
}

/**
 * A run that goes back to an earlier checkpoint of its folder is resumed from there, also where it is killed before it has
 * saved anything. Throws CheckpointError if the disk refuses.
 */
async function pointToStart(
  checkpointer: Checkpointer,
  { iteration, source }: RunStart,
  { MODEL, OUTPUT_DIR }: Config,
): Promise<void> {
  const isOwn = source === 'MODEL.WEIGHT' && iteration > 0 && isIn(MODEL.WEIGHT, OUTPUT_DIR);
  if (isOwn) await checkpointer.pointTo(MODEL.WEIGHT);
}

/** Throws ConfigError if no iteration is left and the run was not just started a second time. */
function refuseNothingToTrain(
  { iteration, source }: RunStart,
  { SOLVER, MODEL, OUTPUT_DIR }: Config,
  { noHead }: TrainOptions,
): void {
  const all = SOLVER.MAX_EPOCH * SOLVER.ITER_PER_EPOCH;
  if (iteration < all) return;
  if (source === 'MODEL.WEIGHT') {
    const way = weightsOnlyWay({ path: MODEL.WEIGHT, source }, { outputDir: OUTPUT_DIR, resume: false });
    throw new ConfigError(
      `MODEL.WEIGHT: ${MODEL.WEIGHT} is the state of a training after iteration ${iteration}, and this one ends after ` +
        `iteration ${all}: nothing is left to train. To start a new training from its weights, ${way}; to continue that ` +
        'training, use --resume with its OUTPUT_DIR and a larger SOLVER.MAX_EPOCH',
    );
  }
  if (noHead) {
    throw new ConfigError(
      `--no-head: the training in ${OUTPUT_DIR} has done its ${all} iterations, and without its head there is nothing to ` +
        'evaluate. To start a new training from its weights, name its checkpoint in MODEL.WEIGHT, add --transfer and choose ' +
        'another OUTPUT_DIR; to continue it, leave out --no-head and raise SOLVER.MAX_EPOCH',
    );
  }
}

/** Whether a signal came before the training began, which is said. */
async function stoppedEarly(stop: StopSignals, log: Logger): Promise<boolean> {
  if (!(await stopped(stop))) return false;
  log.warn('stopped before the first step: nothing was trained, and nothing is saved');
  return true;
}

/** Whether a signal came, also while the event loop was held. */
async function stopped(stop: StopSignals): Promise<boolean> {
  await setImmediate();
  return stop.received;
}

/** The loader, at the place and with the order of clips that the run had, and the identity of its data. */
function openTrainingData(
  cfg: Config,
  { iteration, seed, run }: RunStart,
  log: Logger,
): { batches: BatchLoader<TrainSampler>; data: number } {
  const warn = (message: string) => log.warn(message);
  const batches = createTrainLoader(cfg, { seed, startIteration: iteration, warn });
  const { dataset, sampler } = batches;
  for (const warning of dataset.warnings) log.warn(warning);
  log.info(`data: ${dataset.length} key frames in ${dataset.videos.length} videos`);
  for (const note of dataset.notes) log.info(`data: ${note}`);
  logPasses(cfg, sampler, log);
  const data = dataIdentity(batches);
  if (run?.seed === seed && run.data === data) sampler.resume(run.position);
  else if (run?.seed === seed) {
    log.warn(
      'the training data or the batches are not those of the run so far: from here on clips come in an order of their own',
    );
  }
  return { batches, data };
}

/** How often an epoch passes over the data, which ITER_PER_EPOCH alone decides. */
function logPasses({ SOLVER }: Config, sampler: TrainSampler, log: Logger): void {
  const { line, warning } = describeDataPasses(sampler, SOLVER.ITER_PER_EPOCH);
  log.info(line);
  if (warning !== null) log.warn(warning);
}

interface ValidationContext extends Pick<Surroundings, 'log' | 'bars' | 'stop'> {
  cfg: Config;
  options: TrainOptions;
  start: RunStart;
  maxIterations: number;
  testSet: EvaluationSet;
  model: Detector;
}

function makeValidation(
  { cfg, options, start, maxIterations, testSet, model, log, bars, stop }: ValidationContext,
  hooks: readonly Hook[],
  saveBest: (iteration: number) => Promise<void>,
): ValidationHook {
  const { SOLVER, OUTPUT_DIR: outputDir } = cfg;
  const { signal } = stop;
  let best = bestSoFar(outputDir, start.iteration);
  // A run that goes back to an earlier checkpoint may never be as good again.
  const kept = keptPrecision(outputDir);
  const recorded = new Set(
    readEvaluations(outputDir).flatMap(({ iteration }) => (iteration === start.iteration ? [iteration] : [])),
  );
  // What a run in another folder has left out is not for this one to make up for.
  if (start.source !== 'last_checkpoint' && start.iteration < maxIterations) recorded.add(start.iteration);
  return new ValidationHook({
    period: options.skipValidation ? null : SOLVER.EVAL_PERIOD * SOLVER.ITER_PER_EPOCH,
    after: SOLVER.EVAL_AFTER * SOLVER.ITER_PER_EPOCH,
    maxIterations,
    finalTest: !options.skipFinalTest,
    isRecorded: (iteration) => recorded.has(iteration),
    async evaluate(iteration) {
      if (stop.received) return null;
      try {
        const folder = evaluationFolder(outputDir, iteration);
        return await evaluateModel({ testSet, log, bars, signal }, model, { iteration, best, folder });
      } catch (error) {
        // A disk that is full or away must not cost more than this evaluation.
        if (!(error as NodeJS.ErrnoException).syscall) throw error;
        log.error(`the evaluation after iteration ${iteration} is lost: ${(error as Error).message}`);
        return null;
      }
    },
    saveBest: async (report) => {
      if ((report.results.mAP ?? 0) >= kept) await saveBest(report.iteration);
      else log.info(`model_best.pth stays: it reached mAP ${kept.toFixed(4)} before this run went back`);
    },
    record(report) {
      recorded.add(report.iteration);
      if (report.best) best = report.results.mAP;
      recordEvaluation(outputDir, report);
    },
    hooks,
  });
}

/** The mAP of the model_best.pth in a folder; 0 where there is none, or where it was not evaluated there. */
function keptPrecision(outputDir: string): number {
  const path = new Checkpointer(outputDir).pathOf(BEST_CHECKPOINT);
  try {
    return existsSync(path) ? (meanPrecisionAt(outputDir, iterationIn(path) ?? -1) ?? 0) : 0;
  } catch (error) {
    // A damaged file is nothing to keep.
    if (error instanceof CheckpointError) return 0;
    throw error;
  }
}

/** What evaluations of this run need, opened before hours of training are spent; null where there will be none. */
function openTestSet(
  cfg: Config,
  options: TrainOptions,
  maxIterations: number,
  log: Logger,
): EvaluationSet | null {
  const { EVAL_AFTER, EVAL_PERIOD, ITER_PER_EPOCH, MAX_EPOCH } = cfg.SOLVER;
  const first = EVAL_PERIOD * (Math.floor(EVAL_AFTER / EVAL_PERIOD) + 1);
  const validates = !options.skipValidation && first <= MAX_EPOCH;
  if (!validates && options.skipFinalTest) return null;
  let testSet: EvaluationSet;
  try {
    testSet = new EvaluationSet(cfg);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(
      `${error.message}\n(for the evaluation; --skip-val-in-train and --skip-final-test train without one)`,
      { cause: error },
    );
  }
  for (const warning of testSet.warnings) log.warn(warning);
  const when = validates
    ? `from iteration ${first * ITER_PER_EPOCH}, every ${EVAL_PERIOD * ITER_PER_EPOCH}`
    : `after iteration ${maxIterations}`;
  log.info(`evaluation: ${testSet.dataset.length} key frames, ${when}`);
  for (const note of testSet.notes) log.info(`evaluation: ${note}`);
  return testSet;
}

/** The document's print-outs; the long one goes to log.jsonl and, as a summary of each group, to the console. */
function logGroups(line: string, log: Logger): void {
  if (line.startsWith('Param groups')) log.debug(line);
  else log.info(line);
}

function summaries(optimizer: Optimizer): string[] {
  return optimizer.paramGroups.map(({ name, params, weight_decay, lr_scale }) => {
    const count = params.reduce((sum, { parameter }) => sum + parameter.size, 0);
    const scale = lr_scale === undefined || lr_scale === null ? '' : `, lr_scale ${significant(lr_scale, 4)}`;
    return (
      `Param group ${name}: ${params.length} tensors, ${count.toLocaleString('en')} parameters, ` +
      `weight_decay ${weight_decay}${scale}`
    );
  });
}
