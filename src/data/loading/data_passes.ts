/** @file Data passes: how often an epoch of training passes over its data. */
import { count, countOf, significant } from '../../util/text.js';
import type { TrainSampler } from './sampler.js';

/** Usual numbers of data passes per epoch. */
const MIN_PASSES = 0.5;
const MAX_PASSES = 2;

/** Log lines about data passes. */
export interface DataPasses {
  readonly line: string;
  /** Null if an epoch is close to one data pass. */
  readonly warning: string | null;
}

/** Describes how the iterations of an epoch (SOLVER.ITER_PER_EPOCH) relate to one pass over the clips of a sampler. */
export function describeDataPasses(
  {
    groups,
    batchSize,
    batchesPerPass,
  }: Pick<TrainSampler, 'batchSize' | 'batchesPerPass'> & { readonly groups: { readonly length: number } },
  iterPerEpoch: number,
): DataPasses {
  const left = groups.length - batchesPerPass * batchSize;
  const leftOut =
    left > 0
      ? ` (${countOf(left, 'clip')} that ${left === 1 ? 'fills' : 'fill'} no batch left out of each)`
      : '';
  const passes = iterPerEpoch / batchesPerPass;
  const line =
    `data: ${countOf(groups.length, 'clip')}, ${count(batchSize)} per iteration: ` +
    `${countOf(batchesPerPass, 'iteration')} per data pass${leftOut}; an epoch of ${countOf(iterPerEpoch, 'iteration')} passes ` +
    `over the data ${times(passes)}`;
  if (passes >= MIN_PASSES && passes <= MAX_PASSES) return { line, warning: null };
  return {
    line,
    warning:
      `SOLVER.ITER_PER_EPOCH ${iterPerEpoch} passes over the data ${times(passes)} per epoch; set SOLVER.ITER_PER_EPOCH ` +
      `${batchesPerPass} for one data pass (SOLVER.MAX_EPOCH, the schedule, checkpoints and evaluations count epochs)`,
  };
}

function times(passes: number): string {
  return passes === 1 ? 'once' : `${significant(passes, 3)} times`;
}
