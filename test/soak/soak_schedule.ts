/** @file Which faults meet a run, and when: a function of a seed. */
import { Rng } from '../../src/util/random.js';

/** How often each kind of fault comes. */
const COUNTS = {
  SIGTERM: 3,
  SIGINT: 3,
  SIGUSR1: 3,
  SIGKILL: 4,
  'SIGKILL while it saves': 3,
  'a signal while it starts': 3,
  'a truncated frame': 3,
  'a missing frame': 3,
  'a slow disk': 3,
  'a stopped process': 3,
  'a thread killed at rest or at work': 3,
  'a thread killed at work': 3,
  'a damaged checkpoint': 6,
  'a folder that is away': 3,
  'a full disk': 3,
};

export type FaultKind = keyof typeof COUNTS;
export const FAULT_KINDS = Object.keys(COUNTS) as FaultKind[];

export interface Fault {
  readonly kind: FaultKind;
  /** It comes when the run is as far for the first time. */
  readonly iteration: number;
  /** Of all its choices. */
  readonly rng: Rng;
  /** Which one of its kind it is, from 0. */
  readonly index: number;
}

/** Evaluations that meet a refusing disk are lost; these faults stay away from them, so that all can be compared. */
const DISK_FAULTS: readonly FaultKind[] = ['a folder that is away', 'a full disk'];
const AFTER_EVALUATION = 30;
const BEFORE_EVALUATION = 150;

export interface ScheduleOptions {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  /** The first and the last iteration at which there may be a fault. */
  readonly from: number;
  readonly to: number;
  readonly evaluationPeriod: number;
}

/** The faults in order of their iterations, spread over the run. */
export function drawSchedule({ seed, kinds, from, to, evaluationPeriod }: ScheduleOptions): Fault[] {
  const rng = Rng.forName(seed, 'schedule');
  const all = kinds.flatMap((kind) => Array.from({ length: COUNTS[kind] }, (_, index) => ({ kind, index })));
  const share = (to - from) / all.length;
  return rng
    .permutation(all.length)
    .map((which, slot) => {
      const { kind, index } = all[which];
      let iteration = Math.floor(from + share * (slot + rng.uniform()));
      if (DISK_FAULTS.includes(kind)) {
        const start = evaluationPeriod * Math.floor(iteration / evaluationPeriod) + AFTER_EVALUATION;
        const end = start - AFTER_EVALUATION + evaluationPeriod - BEFORE_EVALUATION;
        if (iteration < start || iteration > end) iteration = start + rng.int(end - start);
      }
      return { kind, index, iteration, rng: Rng.forName(seed, `${kind} ${index}`) };
    })
    .sort((a, b) => a.iteration - b.iteration);
}
