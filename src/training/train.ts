/** @file A training run from its configuration to its exit code. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checkpointer } from '../checkpoint/checkpointer.js';
import { type Config, dumpConfig, type LoadedConfig } from '../config/index.js';
import { type BatchLoader, createTrainLoader } from '../data/loader.js';
import { type EngineRequest, engineMemory, selectEngine } from '../engine/index.js';
import { SetCriterion } from '../loss/criterion.js';
import { Detector } from '../model/detector.js';
import { makeLrScheduler, makeOptimizer, type Optimizer } from '../solver/index.js';
import { CheckpointHook } from './hooks/checkpoints.js';
import { MetricsHook } from './hooks/metrics.js';
import { ProgressBar } from './hooks/progress.js';
import { createLogger, type Logger } from './logger.js';
import { type Hook, runTraining, type TrainingState } from './loop.js';
import { restoreState, saveState } from './restore.js';
import { StopSignals } from './signals.js';
import { duration, gib, significant } from './text.js';

export interface TrainOptions extends EngineRequest {
  transfer: boolean;
  noHead: boolean;
  adjustLr: boolean;
  resume: boolean;
  seed: number;
  verbose: boolean;
  tensorBoard: boolean;
  skipFinalTest: boolean;
  skipValidation: boolean;
}

/** Trains as the configuration and the flags say. Returns the exit code of a run that ended in order. */
export async function train(loaded: LoadedConfig, options: TrainOptions): Promise<number> {
  const { config: cfg } = loaded;
  const engine = await selectEngine({ ...options, threads: cfg.ENGINE.THREADS });
  mkdirSync(cfg.OUTPUT_DIR, { recursive: true });
  const terminal = process.stdout.isTTY === true;
  const bar = terminal ? new ProgressBar(iterationsOf(cfg)) : null;
  const log = createLogger({
    file: join(cfg.OUTPUT_DIR, 'log.jsonl'),
    console: bar ?? process.stdout,
    color: terminal && !process.env.NO_COLOR,
    verbose: options.verbose,
  });
  log.info({ engine }, `engine: ${engine.description}`);
  try {
    return await trainLogged(loaded, options, log, bar);
  } catch (error) {
    // The command line prints it; here it is kept with the run.
    log.debug({ err: error }, 'the run ended with an error');
    throw error;
  }
}

function iterationsOf(cfg: Config): number {
  return cfg.SOLVER.MAX_EPOCH * cfg.SOLVER.ITER_PER_EPOCH;
}

async function trainLogged(
  { config: cfg, warnings }: LoadedConfig,
  options: TrainOptions,
  log: Logger,
  bar: ProgressBar | null,
): Promise<number> {
  const maxIterations = iterationsOf(cfg);
  writeFileSync(join(cfg.OUTPUT_DIR, 'config.yaml'), dumpConfig(cfg));
  log.info({ config: cfg, options }, `output: ${cfg.OUTPUT_DIR}, seed ${options.seed}`);
  for (const warning of warnings) log.warn(warning);
  announceLater(cfg, options, log);

  const model = new Detector(cfg);
  const criterion = new SetCriterion(cfg.MODEL.STM);
  const optimizer = makeOptimizer(cfg, model, (line) => logGroups(line, log));
  for (const line of summaries(optimizer)) log.info(line);
  const state = { model, criterion, optimizer, scheduler: makeLrScheduler(cfg, optimizer) };

  const checkpointer = new Checkpointer(cfg.OUTPUT_DIR);
  const startIteration = restoreState(checkpointer, state, cfg, options, log);
  if (startIteration >= maxIterations) {
    log.info(`nothing left to train: ${startIteration} of ${maxIterations} iterations are done`);
    return 0;
  }
  const batches = createTrainLoader(cfg, { seed: options.seed, startIteration });
  describeData(batches, log);

  const stop = new StopSignals((signal) =>
    log.warn(`${signal}: finishing this step and saving; once more to quit at once`),
  );
  const metrics = new MetricsHook({
    file: join(cfg.OUTPUT_DIR, 'metrics.jsonl'),
    log,
    iterPerEpoch: cfg.SOLVER.ITER_PER_EPOCH,
    maxIterations,
    startIteration,
    memory: engineMemory,
  });
  const hooks: Hook[] = [metrics, checkpoints(cfg, checkpointer, state, maxIterations, log)];
  if (bar) hooks.push(bar.following(metrics));
  const begin = performance.now();
  try {
    const iteration = await runTraining({
      state,
      batches,
      startIteration,
      maxIterations,
      seed: options.seed,
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

function checkpoints(
  cfg: Config,
  checkpointer: Checkpointer,
  state: TrainingState,
  maxIterations: number,
  log: Logger,
): CheckpointHook {
  return new CheckpointHook({
    period: cfg.SOLVER.CHECKPOINT_PERIOD * cfg.SOLVER.ITER_PER_EPOCH,
    maxIterations,
    async save(name, iteration) {
      log.info(`saved ${await saveState(checkpointer, name, state, iteration)}`);
    },
  });
}

/** What is asked for and not there yet is said once, not passed over. */
function announceLater(cfg: Config, options: TrainOptions, log: Logger): void {
  if (options.tensorBoard) {
    log.warn(
      '--use-tfboard: TensorBoard events are not written yet; OUTPUT_DIR/metrics.jsonl has the same numbers',
    );
  }
  if (!options.skipValidation || !options.skipFinalTest) {
    log.info(
      `evaluation is not there yet: no validation every ${cfg.SOLVER.EVAL_PERIOD} epochs and no final test ` +
        '(--skip-val-in-train and --skip-final-test change nothing for now)',
    );
  }
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
