/** @file A training run: restore, loop, step, hooks, save, evaluate. */
import { existsSync } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { BEST_CHECKPOINT, checkpointName } from '../checkpoint/checkpoint_names.js';
import { Checkpointer } from '../checkpoint/checkpointer.js';
import type { Config } from '../config/index.js';
import type { Batch } from '../data/loading/collate.js';
import type { Communicator } from '../distributed/communicator.js';
import { ALONE } from '../distributed/process_group.js';
import type { Engine } from '../engine/index.js';
import type { EvaluationSet } from '../evaluation/evaluation_set.js';
import type { EvaluationReport } from '../evaluation/types.js';
import { bestEvaluation, lastEvaluationSeconds, readEvaluations } from '../run/evaluations.js';
import { type Logger, SILENT_LOGGER } from '../run/log.js';
import { evaluationFolder } from '../run/run_folder.js';
import { skipNameWarnings } from '../solver/skip_names.js';
import { NEVER_ABORTED, unlessAborted } from '../util/abort.js';
import { residentMemory } from '../util/memory.js';
import { gib, roughDuration, significant } from '../util/text.js';
import { announced } from './announced.js';
import { buildHooks, type HookOptions } from './build_hooks.js';
import { EtaEstimator } from './eta.js';
import type { Hook, StepReport, TrainingRun } from './hook.js';
import { logGroups, logPrintedLine } from './log_optimizer.js';
import { MemoryGuard } from './memory/guard.js';
import { guardStep } from './nonfinite/nonfinite_guard.js';
import { evaluationsLeft, openEvaluationSet, validationSchedule } from './open_evaluation.js';
import { stepOptions, type Team } from './processes/team.js';
import { pointToStart, type RestoreRequest, type RunStart, restoreState } from './restore/restore.js';
import { refuseNothingToTrain } from './restore/whole_state.js';
import { evaluateModel, type ShowEvaluation } from './run_evaluation.js';
import { trainStep } from './step.js';
import { openTrainingData, type TrainingData } from './training_data.js';
import { TrainingState } from './training_state.js';

/** Milliseconds that an aborted run waits for its loader. */
const CLOSING_MS = 1000;

export interface TrainerOptions extends Partial<RestoreRequest>, HookOptions {
  /** The current engine, from `selectEngine`. */
  readonly engine: Engine;
  /** Log of the run; silent by default. */
  readonly log?: Logger;
  /** Ends the run after the step, or while it waits for data; what was learned is saved. */
  readonly signal?: AbortSignal;
  /** Hooks that are called after those of every run. */
  readonly hooks?: readonly Hook[];
  /** Batches to train on; by default those of the configured data set. */
  readonly data?: TrainingData;
  /** Shows the progress of an evaluation; by default lines in the log do. */
  readonly showEvaluation?: ShowEvaluation;
  /** The processes that train together, of which this is process 0; none by default. */
  readonly team?: Team | null;
}

/** Result of a run that met no error. */
export interface TrainingResult {
  /** Steps done, those before a resume included. */
  readonly iteration: number;
  /** Whether the signal ended the run before its last step. */
  readonly isStopped: boolean;
  /** Loss of the first and of the latest step of this start, NaN if all were skipped. */
  readonly firstLoss: number;
  readonly lastLoss: number;
  /** Seconds from the first step of this start to its end. */
  readonly seconds: number;
  /** The checkpoint of the best evaluation, with its iteration; null if no evaluation has kept one. */
  readonly best: { readonly path: string; readonly mAP: number | null; readonly iteration: number } | null;
}

export class Trainer implements TrainingRun {
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly state: TrainingState;
  readonly maxIterations: number;
  hooks: readonly Hook[] = [];
  startIteration = 0;
  readonly #restore: RestoreRequest;
  readonly #checkpointer: Checkpointer;
  #eta = new EtaEstimator();
  readonly #processBytes: number;
  #isPrepared = false;
  #data: TrainingData | null = null;
  #evaluationSet: EvaluationSet | null = null;
  #saved: { readonly path: string; readonly iteration: number } | null = null;
  #losses = { firstLoss: Number.NaN, lastLoss: Number.NaN };

  /** Builds the model and what trains it. OUTPUT_DIR must exist. */
  constructor(
    readonly cfg: Config,
    private readonly options: TrainerOptions,
  ) {
    const { SOLVER, OUTPUT_DIR } = cfg;
    this.log = options.log ?? SILENT_LOGGER;
    this.signal = options.signal ?? NEVER_ABORTED;
    this.maxIterations = SOLVER.MAX_EPOCH * SOLVER.ITER_PER_EPOCH;
    this.#restore = {
      transfer: false,
      noHead: false,
      adjustLr: false,
      resume: false,
      seed: null,
      ...options,
    };
    this.state = announced(this.log, 'building the model', () =>
      TrainingState.build(cfg, { info: (line) => logPrintedLine(line, this.log) }),
    );
    logGroups(this.state.optimizer, this.log);
    for (const warning of skipNameWarnings(cfg, this.state.model)) this.log.warn(warning);
    this.#checkpointer = new Checkpointer(OUTPUT_DIR, {
      retrySeconds: SOLVER.CHECKPOINT_RETRY,
      keep: SOLVER.CHECKPOINT_KEEP,
      log: this.log,
    });
    this.#processBytes = residentMemory();
  }

  /**
   * Restores the state and opens the data: all that can fail before the first step. `run` does this unless it was done.
   * Throws ConfigError, DataError, CheckpointError or the signal's reason.
   */
  async prepare(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { cfg, log, state, options } = this;
    this.#checkpointer.removeLeftovers();
    const context = { checkpointer: this.#checkpointer, cfg, request: this.#restore, log };
    const start = restoreState(state, context);
    this.startIteration = state.iteration;
    refuseNothingToTrain(state.iteration, start.source, { cfg, noHead: this.#restore.noHead });
    await this.#throwIfAborted();
    this.#evaluationSet = openEvaluationSet(cfg, options, log);
    this.#eta = new EtaEstimator(this.#evaluationSet && lastEvaluationSeconds(cfg.OUTPUT_DIR));
    await this.#throwIfAborted();
    if (!this.#isDone) this.#openData(start);
    await this.#throwIfAborted();
    await options.team?.command('state');
    await options.team?.begin(state, log);
    this.hooks = [...buildHooks(this.#hookContext(start), options), ...(options.hooks ?? [])];
    await pointToStart(start.source, state.iteration, { checkpointer: this.#checkpointer, cfg });
    this.#isPrepared = true;
  }

  /** Trains to the last iteration, or until the signal is aborted. */
  async run(): Promise<TrainingResult> {
    if (!this.#isPrepared) await this.prepare();
    const begin = performance.now();
    try {
      if (this.#data === null) await this.#finish();
      else await this.#train(this.#data);
      await this.settle();
      if (this.#data !== null) this.#logEnd((performance.now() - begin) / 1000);
    } finally {
      await this.#checkpointer.close();
    }
    return {
      iteration: this.state.iteration,
      isStopped: this.signal.aborted && !this.#isDone,
      ...this.#losses,
      seconds: (performance.now() - begin) / 1000,
      best: this.#best(),
    };
  }

  #best(): TrainingResult['best'] {
    const path = this.#checkpointer.pathOf(BEST_CHECKPOINT);
    const best = bestEvaluation(readEvaluations(this.cfg.OUTPUT_DIR));
    return best && existsSync(path) ? { path, mAP: best.mAP, iteration: best.iteration } : null;
  }

  /** Runs the loop. Order of a step, as in the PyTorch original: loss, backward, optimizer, log, scheduler, save. */
  async #train(data: TrainingData): Promise<void> {
    const { hooks, state, signal } = this;
    const memory = this.#watchMemory(data);
    let batch: Batch | null = null;
    try {
      await memory.announce(this.log);
      state.model.train();
      for (const hook of hooks) await hook.beforeTraining?.(this);
      while (!this.#isDone && !signal.aborted) {
        const begin = performance.now();
        const isFirst = state.iteration === this.startIteration;
        if (isFirst) this.log.info('first iteration: loading its clips …');
        const next = await unlessAborted(data.batches.next(), signal);
        if (next === null || next.done) break;
        batch = next.value;
        if (isFirst) this.log.info('first iteration: compiling the step (later iterations are faster) …');
        const report = await this.#step(batch, begin);
        for (const hook of hooks) await hook.afterStep?.(this, report);
        state.scheduler.step();
        this.#checkpointer.check();
        for (const hook of hooks) await hook.afterSchedule?.(this, report);
        // A step may block the event loop: let signals and the loader have their turn.
        await setImmediate();
      }
      for (const hook of hooks) await hook.afterTraining?.(this);
    } catch (error) {
      throw await memory.explained(error, batch?.shape ?? null);
    } finally {
      await this.#close();
    }
  }

  async #step(batch: Batch, begin: number): Promise<StepReport> {
    const { cfg, state, hooks } = this;
    const dataSeconds = (performance.now() - begin) / 1000;
    const lr = state.optimizer.paramGroups.map((group) => group.lr);
    for (const hook of hooks) await hook.beforeStep?.(this, batch);
    const { team } = this.options;
    await team?.command('step');
    const losses = await guardStep(this, batch, () => trainStep(state, batch, stepOptions(cfg, state, team)));
    const iteration = ++state.iteration;
    await team?.afterStep(state);
    if (!losses.skipped) {
      const { firstLoss } = this.#losses;
      this.#losses = {
        firstLoss: Number.isNaN(firstLoss) ? losses.total : firstLoss,
        lastLoss: losses.total,
      };
    }
    const seconds = (performance.now() - begin) / 1000;
    const etaSeconds = this.#eta.afterStep(
      seconds,
      this.maxIterations - iteration,
      this.#evaluationSet
        ? evaluationsLeft(iteration, this.maxIterations, validationSchedule(cfg, this.options))
        : 0,
    );
    return { ...losses, iteration, lr, seconds, dataSeconds, etaSeconds };
  }

  async save(name?: string): Promise<string> {
    const { iteration } = this.state;
    if (name === undefined && this.#saved?.iteration === iteration) return this.#saved.path;
    const path = await this.#checkpointer.save(name ?? checkpointName(iteration), this.state.checkpoint());
    this.#saved = { path, iteration };
    return path;
  }

  async saveBest(): Promise<void> {
    const saved = this.#saved;
    if (saved?.iteration === this.state.iteration)
      await this.#checkpointer.alias(saved.path, BEST_CHECKPOINT);
    else await this.#checkpointer.save(BEST_CHECKPOINT, this.state.checkpoint(), { isLast: false });
  }

  settle(): Promise<void> {
    return this.#checkpointer.settle();
  }

  async evaluate(best: number | null = null): Promise<EvaluationReport | null> {
    if (this.#evaluationSet === null) return null;
    const { iteration, model } = this.state;
    const { log, signal, cfg } = this;
    const { team } = this.options;
    await team?.command('evaluate');
    const communicator = team?.communicator;
    const report = await evaluateModel(
      { evaluationSet: this.#evaluationSet, log, signal, show: this.options.showEvaluation, communicator },
      model,
      { iteration, best, folder: evaluationFolder(cfg.OUTPUT_DIR, iteration) },
    );
    if (report) this.#eta.afterEvaluation(report.seconds);
    return report;
  }

  /** Connects the processes that train together; undefined without others. */
  get communicator(): Communicator | undefined {
    return this.options.team?.communicator;
  }

  get #isDone(): boolean {
    return this.state.iteration >= this.maxIterations;
  }

  #openData({ resume }: RunStart): void {
    const { cfg, state, log } = this;
    this.#data =
      this.options.data ??
      announced(log, 'reading the training lists', () =>
        openTrainingData(cfg, state, { resume, log, share: this.options.team?.trainingShare }),
      );
    this.state.order = this.#data.order;
  }

  #hookContext({ source }: RunStart) {
    const { cfg, log, startIteration } = this;
    const { engine } = this.options;
    const isContinued = source === 'last_checkpoint' || this.#isDone;
    return { cfg, log, engine, startIteration, isContinued, evaluationSet: this.#evaluationSet };
  }

  #watchMemory({ dataset }: TrainingData): MemoryGuard {
    return new MemoryGuard({
      cfg: this.cfg,
      engine: this.options.engine,
      model: this.state.model,
      data: dataset,
      testData: this.#evaluationSet?.dataset ?? null,
      checkpointer: this.#checkpointer,
      processBytes: this.#processBytes,
      processes: this.options.team ?? ALONE,
    });
  }

  /** Does what is left for a run whose last step was done before. */
  async #finish(): Promise<void> {
    this.log.info(
      `nothing left to train: ${this.startIteration} of ${this.maxIterations} iterations are done`,
    );
    try {
      for (const hook of this.hooks) await hook.afterTraining?.(this);
    } finally {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    for (const hook of this.hooks) hook.close?.();
    // A read that hangs in the kernel would also block us here, so a stopped run gives up after CLOSING_MS.
    const patience = this.signal.aborted ? [setTimeout(CLOSING_MS)] : [];
    await Promise.race([this.#data?.batches.return?.(), ...patience]);
  }

  /** Throws the signal's reason if it was aborted, also while the event loop was blocked. */
  async #throwIfAborted(): Promise<void> {
    await setImmediate();
    this.signal.throwIfAborted();
  }

  #logEnd(seconds: number): void {
    const { iteration } = this.state;
    const { firstLoss, lastLoss } = this.#losses;
    const steps = iteration - this.startIteration;
    const ended = this.#isDone ? 'done' : `stopped after iteration ${iteration}`;
    this.log.info(
      `${ended}: ${steps} ${steps === 1 ? 'iteration' : 'iterations'} in ${roughDuration(seconds)}; ` +
        `loss ${significant(firstLoss, 4)} → ${significant(lastLoss, 4)}; ` +
        `peak memory ${gib(process.resourceUsage().maxRSS * 1024)}; see ${this.cfg.OUTPUT_DIR}`,
    );
  }
}
