/** @file Loads the weights of a file into a model, and reports weights that do not fit. */
import { CheckpointError } from '../errors.js';
import { type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { firstNames } from '../util/text.js';
import { type Coverage, findMisfit, type Match, type Misfit } from './fit.js';
import { adviseOn, describeMisfit, describeRenamings, summarizeMisfit } from './fit_text.js';
import { describeMismatch, type LoadReport, type ModelShapes, matchWeights } from './weights.js';

/** A weight file and its state dict. */
export interface WeightSource {
  readonly path: string;
  readonly state: ReadonlyMap<string, HostTensor | null>;
}

export interface LoadOptions {
  /** Leaves the head out. */
  readonly noHead: boolean;
  readonly coverage: Coverage;
  /** Returns how to add a flag of `stmixer train` to the command, for messages; by default the flag itself. */
  withFlag?(flag: string): string;
}

export interface LoadedWeights {
  readonly report: LoadReport;
  /** Describes a misfit that `coverage` allows, part by part; null if everything fits. */
  readonly misfit: string | null;
}

/**
 * Passes the weights to `set` one after the other, so that only one is in memory. Throws CheckpointError before the first
 * call if shapes differ, nothing fits or the file covers too little of the model, and in the middle if data are damaged.
 */
export function loadWeights(
  { path, state }: WeightSource,
  model: ModelShapes,
  { noHead, coverage, withFlag = (flag) => flag }: LoadOptions,
  set: (name: string, data: Float32Array) => void,
): LoadedWeights {
  const report = matchWeights(state, model, noHead);
  // Only training can leave the head out.
  const noHeadFlag = coverage === 'whole model' ? null : withFlag('--no-head');
  if (report.mismatched.length > 0) throw new CheckpointError(describeMismatch(path, report, noHeadFlag));
  const match = { state, model, report };
  const misfit = findMisfit(match, coverage);
  if (report.loaded.size === 0) throw new CheckpointError(describeStranger(path, match, misfit));
  if (misfit && coverage !== 'any') {
    const advice = adviseOn(misfit, coverage, withFlag);
    throw new CheckpointError(`${describeFailure(path, match, misfit, coverage)}\n${advice}`);
  }
  for (const [name, key] of report.loaded) set(name, toFloat32(state.get(key)!));
  return { report, misfit: misfit && `${summarizeMisfit(misfit)}\n${describeMisfit(misfit)}` };
}

function describeStranger(path: string, { state, model }: Match, misfit: Misfit | null): string {
  const keys = `Its keys are: ${firstNames([...state.keys()])}; the model has: ${firstNames([...model.keys()])}`;
  return [
    `${path}: nothing in it fits the model. ${keys}`,
    ...describeRenamings(misfit?.renamings ?? []),
  ].join('\n');
}

function describeFailure(path: string, { model, report }: Match, misfit: Misfit, coverage: Coverage): string {
  const { missing } = report;
  let summary = summarizeMisfit(misfit);
  if (coverage === 'whole model') {
    summary =
      missing.length > 0
        ? `lacks ${missing.length} of the model's ${model.size} weights (${firstNames(missing)}); it takes a checkpoint of the ` +
          'whole model, and the configuration that it was trained with'
        : 'holds more than the model; it takes the configuration that it was trained with';
  }
  return [`${path}: ${summary}`, describeMisfit(misfit)].join('\n');
}
