/** @file A training run from its configuration to its exit code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BEST_CHECKPOINT, Checkpointer, checkpointName } from '../checkpoint/checkpointer.js';
import { type Config, dumpConfig, type LoadedConfig } from '../config/index.js';
import { clipsPerStep } from '../data/data_config.js';
import { type BatchLoader, createTrainLoader } from '../data/loader.js';
import { type EngineRequest, engineMemory, selectEngine } from '../engine/index.js';
import { DataError } from '../errors.js';
import { bestSoFar, readEvaluations } from '../evaluation/history.js';
import { TestSet } from '../evaluation/test_set.js';
import { SetCriterion } from '../loss/criterion.js';
import { Detector } from '../model/detector.js';
import { makeLrScheduler, makeOptimizer, type Optimizer } from '../solver/index.js';
import { StopSignals } from '../util/signals.js';
import { duration, gib, significant } from '../util/text.js';
import { writeEnvironment } from './environment.js';
import { evaluateAndRecord } from './evaluation.js';
import { CheckpointHook } from './hooks/checkpoints.js';
import { MetricsHook } from './hooks/metrics.js';
import type { ProgressBars } from './hooks/progress.js';
import { TensorBoardHook } from './hooks/tensorboard.js';
import { ValidationHook } from './hooks/validation.js';
import type { Logger } from './logger.js';
import { type Hook, runTraining } from './loop.js';
import { NonFiniteGuard } from './nonfinite_guard.js';
import { checkpointParts, restoreState } from './restore.js';
import { openLog } from './run_log.js';

export interface TrainOptions extends EngineRequest {
  transfer: boolean;
  noHead: boolean;
  adjustLr: boolean;
  resume: boolean;
  seed: number;
  verbose: boolean;
  tensorBoard: boolean;
  /** Iterations between two histograms of every weight for TensorBoard, or null. */
  tensorBoardHistograms: number | null;
  skipFinalTest: boolean;
  skipValidation: boolean;
}

/** Trains as the configuration and the flags say. Returns the exit code of a run that ended in order. */
export async function train(loaded: LoadedConfig, options: TrainOptions): Promise<number> {
  const { config: cfg } = loaded;
  const engine = await selectEngine({ ...options, threads: cfg.ENGINE.THREADS });
  const { log, bars } = openLog(cfg.OUTPUT_DIR, options.verbose);
  log.info({ engine }, `engine: ${engine.description}`);
  writeEnvironment(cfg.OUTPUT_DIR, engine);
  try {
    return await trainLogged(loaded, options, log, bars);
  } catch (error) {
    // The command line prints it; here it is kept with the run.
    log.debug({ err: error }, 'the run ended with an error');
    throw error;
  }
}

async function trainLogged(
  { config: cfg, warnings }: LoadedConfig,
  options: TrainOptions,
  log: Logger,
  bars: ProgressBars | null,
): Promise<number> {
  const maxIterations = cfg.SOLVER.MAX_EPOCH * cfg.SOLVER.ITER_PER_EPOCH;
  const configYaml = dumpConfig(cfg);
  writeFileSync(join(cfg.OUTPUT_DIR, 'config.yaml'), configYaml);
  log.info({ config: cfg, options }, `output: ${cfg.OUTPUT_DIR}, seed ${options.seed}`);
  for (const warning of warnings) log.warn(warning);

  const model = new Detector(cfg);
  const criterion = new SetCriterion(cfg.MODEL.STM);
  const optimizer = makeOptimizer(cfg, model, (line) => logGroups(line, log));
  for (const line of summaries(optimizer)) log.info(line);
  const state = { model, criterion, optimizer, scheduler: makeLrScheduler(cfg, optimizer) };

  const checkpointer = new Checkpointer(cfg.OUTPUT_DIR);
  const startIteration = restoreState(checkpointer, state, cfg, options, log);
  const testSet = openTestSet(cfg, options, maxIterations, log);
  const stop = new StopSignals((signal) =>
    log.warn(`${signal}: finishing this step and saving; once more to quit at once`),
  );
  // A run that starts afresh in a used folder has nothing to do with the evaluations in it.
  let best = startIteration > 0 ? bestSoFar(cfg.OUTPUT_DIR, startIteration) : null;
  const evaluate = async (iteration: number) => {
    if (!testSet) return null;
    const shouldStop = () => stop.received;
    const context = { outputDir: cfg.OUTPUT_DIR, testSet, log, bars, shouldStop };
    const report = await evaluateAndRecord(context, model, iteration, best);
    if (report?.best) best = report.results.mAP;
    return report;
  };
  try {
    if (startIteration >= maxIterations) {
      log.info(`nothing left to train: ${startIteration} of ${maxIterations} iterations are done`);
      const tested = readEvaluations(cfg.OUTPUT_DIR).some((line) => line.iteration === startIteration);
      if (!options.skipFinalTest && !tested) await evaluate(startIteration);
      return stop.exitCode;
    }
    const batches = createTrainLoader(cfg, {
      seed: options.seed,
      startIteration,
      warn: (message) => log.warn(message),
    });
    describeData(batches, log);

    const metrics = new MetricsHook({
      file: join(cfg.OUTPUT_DIR, 'metrics.jsonl'),
      log,
      iterPerEpoch: cfg.SOLVER.ITER_PER_EPOCH,
      maxIterations,
      startIteration,
      memory: engineMemory,
    });
    const checkpoints = new CheckpointHook({
      period: cfg.SOLVER.CHECKPOINT_PERIOD * cfg.SOLVER.ITER_PER_EPOCH,
      maxIterations,
      async save(name, iteration) {
        const path = await checkpointer.save(name, checkpointParts(state, iteration));
        log.info(`saved ${path}`);
        return path;
      },
    });
    const hooks: Hook[] = [metrics, checkpoints];
    if (bars) hooks.push(bars.training(maxIterations, metrics));
    if (options.tensorBoard) {
      hooks.push(
        new TensorBoardHook({
          folder: join(cfg.OUTPUT_DIR, 'tensorboard'),
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
    hooks.push(
      new ValidationHook({
        period: options.skipValidation ? null : cfg.SOLVER.EVAL_PERIOD * cfg.SOLVER.ITER_PER_EPOCH,
        after: cfg.SOLVER.EVAL_AFTER * cfg.SOLVER.ITER_PER_EPOCH,
        maxIterations,
        finalTest: !options.skipFinalTest,
        evaluate,
        async saveBest(iteration) {
          const saved = checkpoints.savedAfter(iteration);
          const path = saved
            ? checkpointer.alias(saved, BEST_CHECKPOINT)
            : await checkpointer.write(BEST_CHECKPOINT, checkpointParts(state, iteration));
          log.info(`saved ${path}`);
        },
        hooks,
      }),
    );
    const step = { clipsAtOnce: cfg.SOLVER.VIDEOS_PER_BATCH, clipGradNorm: cfg.SOLVER.CLIP_GRAD_NORM };
    const nonFinite = new NonFiniteGuard({
      outputDir: cfg.OUTPUT_DIR,
      onNonFinite: cfg.SOLVER.ON_NONFINITE,
      limit: cfg.SOLVER.NONFINITE_LIMIT,
      seed: options.seed,
      clipsAtOnce: step.clipsAtOnce,
      log,
      saveState: async (iteration) =>
        checkpoints.savedAfter(iteration) ??
        checkpointer.save(checkpointName(iteration), checkpointParts(state, iteration)),
    });
    const begin = performance.now();
    const iteration = await runTraining({
      state,
      batches,
      startIteration,
      maxIterations,
      seed: options.seed,
      step,
      nonFinite,
      hooks,
      shouldStop: () => stop.received,
    });
    const seconds = (performance.now() - begin) / 1000;
    const ended = iteration === maxIterations ? 'done' : `stopped after iteration ${iteration}`;
    log.info(
      `${ended}: ${iteration - startIteration} iterations in ${duration(seconds)}; ` +
        `loss ${significant(metrics.firstLoss, 4)} → ${significant(metrics.lastLoss, 4)}; ` +
        `peak memory ${gib(process.resourceUsage().maxRSS * 1024)}; see ${cfg.OUTPUT_DIR}`,
    );
    return stop.exitCode;
  } finally {
    stop.close();
  }
}

/** What evaluations of this run need, opened before hours of training are spent; null where there will be none. */
function openTestSet(cfg: Config, options: TrainOptions, maxIterations: number, log: Logger): TestSet | null {
  const { EVAL_AFTER, EVAL_PERIOD, ITER_PER_EPOCH, MAX_EPOCH } = cfg.SOLVER;
  const first = EVAL_PERIOD * (Math.floor(EVAL_AFTER / EVAL_PERIOD) + 1);
  const validates = !options.skipValidation && first <= MAX_EPOCH;
  if (!validates && options.skipFinalTest) return null;
  let testSet: TestSet;
  try {
    testSet = new TestSet(cfg);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(
      `${error.message}\n(for the evaluation; --skip-val-in-train and --skip-final-test train without one)`,
      { cause: error },
    );
  }
  for (const warning of testSet.dataset.warnings) log.warn(warning);
  const when = validates
    ? `from iteration ${first * ITER_PER_EPOCH}, every ${EVAL_PERIOD * ITER_PER_EPOCH}`
    : `after iteration ${maxIterations}`;
  log.info(`evaluation: ${testSet.dataset.length} key frames, ${when}`);
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

function describeData({ dataset }: BatchLoader, log: Logger): void {
  for (const warning of dataset.warnings) log.warn(warning);
  log.info(`data: ${dataset.length} key frames in ${dataset.videos.length} videos`);
}
