/** @file Loads the weights of a file into a model, and reports weights that do not fit. */
import { CheckpointError } from '../errors.js';
import { type HostTensor, toFloat32 } from '../formats/host_tensor.js';
import { firstNames } from '../util/text.js';
import { type Coverage, findMisfit, type Match, type Misfit } from './misfit/fit.js';
import { adviseOn, describeMisfit, describeRenamings, summarizeMisfit } from './misfit/fit_text.js';
import { describeOtherNetwork } from './misfit/other_network.js';
import { keyBiasWarning, type NamedWeights, nameWeights } from './origins/named_weights.js';
import {
  describeMismatch,
  type LoadReport,
  type ModelShapes,
  matchWeights,
  newClassifiersWarning,
  type OtherClasses,
  otherClasses,
  withNewClassifiers,
} from './weights.js';

/** A weight file and its state dict. */
export interface WeightSource {
  readonly path: string;
  readonly state: ReadonlyMap<string, HostTensor | null>;
}

export interface LoadOptions {
  /** Leaves the head out. */
  readonly noHead: boolean;
  readonly coverage: Coverage;
  /** Lets action classifiers of another number of classes keep their initial values. */
  readonly newClassifiers?: boolean;
  /** Returns how to add a flag of `stmixer train` to the command, for messages; by default the flag itself. */
  withFlag?(flag: string): string;
  /** How to take only the weights into a new run, for messages. */
  readonly weightsOnlyWay?: string;
}

export interface LoadedWeights {
  readonly report: LoadReport;
  /** Describes a misfit that `coverage` allows, part by part; null if everything fits. */
  readonly misfit: string | null;
  /** Sentences about tensors of the file that are not used as they are. */
  readonly warnings: readonly string[];
}

/**
 * Passes the weights to `set` one after the other, so that only one is in memory. Throws CheckpointError before the first
 * call if shapes differ, nothing fits or the file covers too little of the model, and in the middle if data are damaged.
 */
export function loadWeights(
  { path, state }: WeightSource,
  model: ModelShapes,
  options: LoadOptions,
  set: (name: string, data: Float32Array) => void,
): LoadedWeights {
  const { coverage, withFlag = (flag) => flag } = options;
  const weights = nameWeights(state);
  const problem = weights.origin?.problemOf?.(weights.state) ?? null;
  if (problem !== null) throw new CheckpointError(`${path}: ${problem}`);
  const report = matchedReport(path, weights, model, options);
  const match = { weights, model, report };
  const misfit = findMisfit(match, coverage);
  if (report.loaded.size === 0) throw new CheckpointError(describeStranger(path, match, misfit));
  if (misfit && coverage !== 'any') {
    const advice = adviseOn(misfit, coverage, withFlag);
    throw new CheckpointError(`${describeFailure(path, match, misfit, coverage)}\n${advice}`);
  }
  const warnings = [newClassifiersWarning(report), keyBiasWarning(weights)].flatMap((text) => text ?? []);
  for (const [name, key] of report.loaded) set(name, toFloat32(weights.state.get(key)!));
  return { report, misfit: misfit && `${summarizeMisfit(misfit)}\n${describeMisfit(misfit)}`, warnings };
}

/** Matches the names. Throws CheckpointError if the file is of another network or a shape differs. */
function matchedReport(
  path: string,
  weights: NamedWeights,
  model: ModelShapes,
  { noHead, coverage, newClassifiers = false, withFlag = (flag) => flag, weightsOnlyWay }: LoadOptions,
): LoadReport {
  const report = matchWeights(weights, model, noHead);
  const otherNetwork = describeOtherNetwork(weights, model, report);
  if (otherNetwork !== null) throw new CheckpointError(`${path}: ${otherNetwork}.`);
  if (report.mismatched.length === 0) return report;
  const classes = otherClasses(report);
  if (classes !== null && newClassifiers) return withNewClassifiers(report);
  if (classes !== null) throw new CheckpointError(describeClasses(path, classes, weightsOnlyWay));
  // Only training can leave the head out.
  const noHeadFlag = coverage === 'whole model' ? null : withFlag('--no-head');
  throw new CheckpointError(describeMismatch(path, report, noHeadFlag));
}

/** The error for classifiers of another number of classes where they cannot start anew. */
function describeClasses(path: string, { inFile, inModel }: OtherClasses, weightsOnlyWay?: string): string {
  const difference = `the weights have ${inFile} action classes, and MODEL.STM.ACTION_CLASSES is ${inModel}`;
  const another =
    weightsOnlyWay === undefined
      ? `To have ${inModel} classes, train from these weights first: stmixer train --transfer`
      : `To train ${inModel} classes from these weights, ${weightsOnlyWay}`;
  return `${path}: ${difference}. Set MODEL.STM.ACTION_CLASSES ${inFile} to use them as they are. ${another}.`;
}

function describeStranger(path: string, { weights: { state }, model }: Match, misfit: Misfit | null): string {
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
