/** @file Restores optimizer and schedule from a checkpoint, and reports the settings and learning rates that follow. */
import type { LoadedCheckpoint } from '../../checkpoint/checkpoint_parts.js';
import type { LoadPlan } from '../../checkpoint/checkpointer.js';
import type { Config } from '../../config/index.js';
import { CheckpointError } from '../../errors.js';
import { DamagedDataError } from '../../formats/checksum.js';
import type { PyValue } from '../../formats/python/values.js';
import { lrScaleWarning, makeLrScheduler } from '../../solver/index.js';
import type { LrHolder, LrSchedule } from '../../solver/lr_schedule.js';
import { scheduleKindOf } from '../../solver/make_lr_scheduler.js';
import { describeSchedules, type ScheduleChoice } from '../../solver/schedule_text.js';
import { describeOptimizerSettings } from '../../solver/settings_text.js';
import type { Log } from '../../util/log.js';
import type { TrainingState } from '../training_state.js';
import { findGaps, IncompleteStateError, incompleteState, weightsOnlyWay } from './whole_state.js';

export interface ContinueRequest {
  readonly plan: LoadPlan;
  readonly cfg: Config;
  readonly resume: boolean;
  readonly adjustLr: boolean;
  readonly allowPartial?: boolean;
  readonly log: Log;
}

/**
 * Restores optimizer and schedule. Throws IncompleteStateError if the checkpoint lacks a part of the state, and
 * CheckpointError with advice if it does not fit the run.
 */
export function continueTraining(
  loaded: LoadedCheckpoint,
  state: TrainingState,
  request: ContinueRequest,
): void {
  const { plan, cfg, resume } = request;
  const way = weightsOnlyWay(plan, { outputDir: cfg.OUTPUT_DIR, resume });
  try {
    checkWhole(loaded, state, request);
    restoreOptimizer(loaded.optimizer, state, request, way);
    restoreSchedule(loaded, state, request);
  } catch (error) {
    const isOfFile = error instanceof IncompleteStateError || error instanceof DamagedDataError;
    if (!(error instanceof CheckpointError) || isOfFile) throw error;
    throw new CheckpointError(
      `${plan.path}: ${error.message}. To continue, use the model and the ViT and SOLVER settings that it was saved with; to ` +
        `take only its weights into a new run, ${way}`,
      { cause: error },
    );
  }
}

/** Throws IncompleteStateError if something is missing. With --allow-partial, some parts may be. */
function checkWhole(
  loaded: LoadedCheckpoint,
  { optimizer }: TrainingState,
  { plan, adjustLr, allowPartial = false, log }: ContinueRequest,
): void {
  const gaps = findGaps(loaded, optimizer, adjustLr);
  if (gaps.length === 0) return;
  const fault = incompleteState(plan, gaps);
  if (!allowPartial || gaps.some(({ isBridgeable }) => !isBridgeable)) throw fault;
  log.warn(`${fault.message}\n--allow-partial: training goes on, and what is missing starts anew`);
}

function restoreOptimizer(
  saved: PyValue,
  { optimizer }: TrainingState,
  { cfg, log }: ContinueRequest,
  way: string,
): void {
  const scaleWarning = lrScaleWarning(cfg, saved);
  if (scaleWarning) log.warn(scaleWarning);
  const settings = describeOptimizerSettings(optimizer.loadStateDict(saved));
  if (settings) log.warn(`${settings}. To train a new run from its weights with other values, ${way}`);
}

function restoreSchedule(
  { scheduler: saved, iteration }: LoadedCheckpoint,
  { scheduler }: TrainingState,
  { cfg, adjustLr, log }: ContinueRequest,
): void {
  const schedules = schedulesFor(saved, scheduler, cfg);
  if (adjustLr) scheduler.adoptPosition(saved);
  else scheduler.loadStateDict(saved);
  if (scheduler.lastEpoch !== iteration) {
    log.warn(
      `the checkpoint is of iteration ${iteration}, and its schedule of iteration ${scheduler.lastEpoch}: the learning rate ` +
        'goes on from the schedule, as in the official code',
    );
  }
  const text = schedules && describeSchedules({ ...schedules, cfg, adjustLr, done: iteration ?? 0 });
  if (text) log.warn(text);
}

/** The two schedules that the run may follow and the one it had; null if none of them can take the saved state. */
function schedulesFor(
  state: PyValue,
  scheduler: LrSchedule,
  cfg: Config,
): Pick<ScheduleChoice, 'configured' | 'saved' | 'past' | 'savedKind'> | null {
  const savedKind = scheduleKindOf(state) ?? cfg.SOLVER.SCHEDULER;
  const make = (SCHEDULER: Config['SOLVER']['SCHEDULER']) =>
    makeLrScheduler({ ...cfg, SOLVER: { ...cfg.SOLVER, SCHEDULER } }, copyOfLrs(scheduler));
  const [configured, saved] = [make(cfg.SOLVER.SCHEDULER), make(cfg.SOLVER.SCHEDULER)];
  const past = make(savedKind);
  try {
    for (const schedule of [saved, past]) schedule.loadStateDict(state);
    return { configured, saved, past, savedKind };
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
}

/** Learning rates for a schedule that drives no optimizer. */
function copyOfLrs({ optimizer, baseLrs }: LrSchedule): LrHolder {
  return { paramGroups: optimizer.paramGroups.map(({ name }, i) => ({ name, lr: baseLrs[i] })) };
}
