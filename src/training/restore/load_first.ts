/** @file Loading the checkpoint that a run asks for, or where the last one is no good, the newest one that is. */
import { LAST_CHECKPOINT } from '../../checkpoint/checkpoint_names.js';
import type { LoadedCheckpoint } from '../../checkpoint/checkpoint_parts.js';
import type { Checkpointer, LoadPlan, LoadRequest } from '../../checkpoint/checkpointer.js';
import { NoWeightsError } from '../../checkpoint/weights.js';
import { CheckpointError } from '../../errors.js';
import { verifyWeightFile } from '../../formats/weight_file.js';
import type { LineLog } from '../../run/log.js';
import { IncompleteStateError, weightsOnlyWay } from './whole_state.js';

type Load = (plan: LoadPlan) => LoadedCheckpoint;
interface Loaded extends Pick<LoadPlan, 'path' | 'source'> {
  readonly loaded: LoadedCheckpoint;
}

/**
 * Loads the file that the request asks for; null without one. A last checkpoint that is damaged, gone or incomplete is
 * replaced by the newest one that is whole. Throws CheckpointError if there is none, or the file is only not of this model.
 */
export function loadFirst(
  checkpointer: Checkpointer,
  request: LoadRequest,
  load: Load,
  log: LineLog,
): Loaded | null {
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
  const older = loadOlder(checkpointer, plan?.path ?? '', request, load, log);
  if (older) return older;
  throw noneIsWhole(fault, plan, checkpointer, request);
}

function loadOlder(
  checkpointer: Checkpointer,
  last: string,
  request: LoadRequest,
  load: Load,
  log: LineLog,
): Loaded | null {
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

/** Whether an error with a checkpoint is the fault of the file, and not of a configuration for another model. */
function isFaulty(path: string, error: CheckpointError): boolean {
  return lacksPart(error) || damageOf(path) !== null;
}

/** Whether the fault of a file is that something is missing in it. */
function lacksPart(error: unknown): error is CheckpointError {
  return error instanceof IncompleteStateError || error instanceof NoWeightsError;
}

/** Finds what is wrong with a file in itself; null where it is only not the one that this model needs. */
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

function noneIsWhole(
  fault: CheckpointError,
  plan: LoadPlan | null,
  { outputDir }: Checkpointer,
  { resume }: LoadRequest,
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
