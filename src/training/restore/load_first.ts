/** @file Loads the checkpoint that a run asks for, or the newest sound one if the last one cannot be used. */
import { LAST_CHECKPOINT } from '../../checkpoint/checkpoint_names.js';
import type { LoadedCheckpoint } from '../../checkpoint/checkpoint_parts.js';
import type { Checkpointer, LoadPlan, LoadRequest } from '../../checkpoint/checkpointer.js';
import { NoWeightsError } from '../../checkpoint/state_dict.js';
import { CheckpointError } from '../../errors.js';
import { verifyWeightFile } from '../../formats/weight_file.js';
import type { Log } from '../../util/log.js';
import { IncompleteStateError, weightsOnlyWay } from './whole_state.js';

/** A request to load, and the means to fulfil it. */
interface LoadJob {
  readonly checkpointer: Checkpointer;
  readonly request: LoadRequest;
  /** Loads the file of a plan into the training. Throws CheckpointError. */
  load(plan: LoadPlan): LoadedCheckpoint;
  readonly log: Log;
}

interface Loaded extends Pick<LoadPlan, 'path' | 'source'> {
  readonly loaded: LoadedCheckpoint;
}

/**
 * Loads the file that the request asks for; null if it asks for none. If the last checkpoint is damaged, missing or
 * incomplete, the newest complete one replaces it. Throws CheckpointError if no checkpoint is complete, or if the file is
 * sound but belongs to another model.
 */
export function loadFirst(job: LoadJob): Loaded | null {
  const { checkpointer, request, load, log } = job;
  let plan: LoadPlan | null = null;
  let fault: CheckpointError;
  try {
    plan = checkpointer.plan(request);
    return plan && { loaded: load(plan), ...plan };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const isLast = plan ? plan.source === LAST_CHECKPOINT : request.resume || request.weight === '';
    if (!isLast && plan && error instanceof IncompleteStateError)
      throw incompleteWeights(error, plan, checkpointer);
    if (!isLast || (plan && !isFaulty(plan.path, error))) throw error;
    fault = error;
  }
  log.warn(fault.message);
  const older = loadOlder(plan?.path ?? '', job);
  if (older) return older;
  throw noneIsComplete(fault, plan, job);
}

/** Loads the newest complete checkpoint beside `last`; null if there is none. */
function loadOlder(last: string, { checkpointer, request, load, log }: LoadJob): Loaded | null {
  for (const path of checkpointer.fallbacks(last)) {
    const damage = damageOf(path);
    if (damage) {
      log.warn(damage.message);
      continue;
    }
    const plan = checkpointer.plan({ ...request, fallback: path }) as LoadPlan;
    try {
      const loaded = load(plan);
      log.warn(`going on from ${path} instead, the newest checkpoint that is whole`);
      return { loaded, ...plan };
    } catch (error) {
      if (!lacksPart(error)) throw error;
      log.warn(error.message);
    }
  }
  return null;
}

/** Whether the file itself is at fault, and not a configuration for another model. */
function isFaulty(path: string, error: CheckpointError): boolean {
  return lacksPart(error) || damageOf(path) !== null;
}

/** Whether the error says that something is missing in the file. */
function lacksPart(error: unknown): error is CheckpointError {
  return error instanceof IncompleteStateError || error instanceof NoWeightsError;
}

/** Returns the error for a damaged file; null for a sound one. */
function damageOf(path: string): CheckpointError | null {
  try {
    verifyWeightFile(path);
    return null;
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
}

function incompleteWeights(
  fault: IncompleteStateError,
  plan: LoadPlan,
  { outputDir }: Checkpointer,
): CheckpointError {
  const way = weightsOnlyWay(plan, { outputDir, resume: false });
  return new CheckpointError(`${fault.message}. To start a new training from its weights, ${way}`, {
    cause: fault,
  });
}

function noneIsComplete(
  fault: CheckpointError,
  plan: LoadPlan | null,
  { checkpointer: { outputDir }, request: { resume } }: LoadJob,
): CheckpointError {
  const instead = resume ? ' instead of --resume' : '';
  const way =
    plan && fault instanceof IncompleteStateError
      ? ` To take only its weights into a new run, ${weightsOnlyWay(plan, { outputDir, resume })}.`
      : '';
  return new CheckpointError(
    `${fault.message}\nNo other checkpoint in ${outputDir} is whole. To start afresh use --overwrite${instead}, ` +
      `which moves them into a subfolder, or another OUTPUT_DIR.${way}`,
    { cause: fault },
  );
}
