/** @file How often the epochs of a training pass over its data. */
import { count, countOf } from '../../util/progress.js';
import { significant } from '../../util/text.js';
import type { TrainSampler } from './sampler.js';

/** Fewer or more passes per epoch than these are hardly meant; short epochs may be there for the sake of evaluations. */
const FEWEST = 0.1;
const MOST = 2;

/** Sentences that a run says about its passes at its start. */
export interface Passes {
  readonly line: string;
  /** Null where an epoch is not far from one pass. */
  readonly warning: string | null;
}

/** Describes how the iterations of an epoch (SOLVER.ITER_PER_EPOCH) relate to one pass over the clips of a sampler. */
export function describePasses(
  {
    groups,
    batchSize,
    batchesPerPass,
  }: Pick<TrainSampler, 'batchSize' | 'batchesPerPass'> & { readonly groups: { readonly length: number } },
  iterPerEpoch: number,
): Passes {
  const left = groups.length - batchesPerPass * batchSize;
  const leftOut =
    left > 0
      ? ` (${countOf(left, 'clip')} that ${left === 1 ? 'fills' : 'fill'} no batch left out of each)`
      : '';
  const passes = iterPerEpoch / batchesPerPass;
  const line =
    `data: ${countOf(groups.length, 'clip')}, ${count(batchSize)} per iteration: ` +
    `${countOf(batchesPerPass, 'iteration')} per pass${leftOut}; an epoch of ${countOf(iterPerEpoch, 'iteration')} passes over ` +
    `the data ${times(passes)}`;
  if (passes >= FEWEST && passes <= MOST) return { line, warning: null };
  return {
    line,
    warning:
      `SOLVER.ITER_PER_EPOCH ${iterPerEpoch} passes over the data ${times(passes)} per epoch; set SOLVER.ITER_PER_EPOCH ` +
      `${batchesPerPass} for one pass (epochs are what SOLVER.MAX_EPOCH, the schedule, checkpoints and evaluations count)`,
  };
}

function times(passes: number): string {
  return passes === 1 ? 'once' : `${significant(passes, 3)} times`;
}
