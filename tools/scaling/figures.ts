/** @file The figures of a cluster in the units of the flags of `scripts/scaling.ts`, and where they come from. */
import { type CaseMeasurement, type FamilyMeasurement, SMALL_SUMS } from './measurements.js';
import { type Algorithm, type Cluster, expectedMaximum } from './model.js';

export interface Figures {
  /** Seconds of a step of one process without communication, and of the backward pass in it. */
  readonly compute: number;
  readonly backward: number;
  /** Clips of a process. */
  readonly clips: number;
  readonly gradientGb: number;
  /** Number of sums in which the gradients are exchanged. */
  readonly sums: number;
  readonly perMachine: number;
  /** GB/s, and microseconds of a message. */
  readonly machineBandwidth: number;
  readonly machineLatency: number;
  readonly networkBandwidth: number;
  readonly networkLatency: number;
  readonly algorithm: Algorithm;
  /** As in `Cluster`. */
  readonly taken: number;
  readonly variation: number;
  /** Seconds in which a process loads a clip. */
  readonly loading: number;
}

export type Origin = 'measured' | 'given' | 'assumed';

/** Share of the backward pass in a step that is assumed. */
const BACKWARD_SHARE = 2 / 3;

/** The full model in float32: 149 large gradients are sums of their own. An eight-GPU machine with one network card of 100 Gbit/s. */
const ASSUMED: Omit<Figures, 'compute' | 'backward'> = {
  clips: 1,
  gradientGb: 1.02,
  sums: 188,
  perMachine: 8,
  machineBandwidth: 100,
  machineLatency: 5,
  networkBandwidth: 12.5,
  networkLatency: 10,
  algorithm: 'ring',
  taken: 0,
  variation: 0.02,
  loading: 0,
};

/**
 * Completes figures: those that are given, else those that were measured, else assumptions. Throws Error if nobody says how long the
 * computation takes.
 */
export function completeFigures(
  given: Partial<Figures>,
  measured: Partial<Figures>,
): { readonly figures: Figures; readonly origins: Readonly<Record<keyof Figures, Origin>> } {
  const known = { ...measured, ...given };
  const { compute } = known;
  if (compute === undefined) throw new Error('the time of the computation is missing');
  const figures: Figures = { ...ASSUMED, backward: BACKWARD_SHARE * compute, ...known, compute };
  const originOf = (name: string): Origin =>
    name in given ? 'given' : name in measured ? 'measured' : 'assumed';
  const origins = Object.fromEntries(Object.keys(figures).map((name) => [name, originOf(name)]));
  return { figures, origins: origins as Record<keyof Figures, Origin> };
}

export function clusterOf(figures: Figures): Cluster {
  const { gradientGb, machineBandwidth, machineLatency, networkBandwidth, networkLatency, ...same } = figures;
  return {
    ...same,
    gradientBytes: 1e9 * gradientGb,
    smallSums: SMALL_SUMS,
    inMachine: { bandwidth: 1e9 * machineBandwidth, latency: 1e-6 * machineLatency },
    network: { bandwidth: 1e9 * networkBandwidth, latency: 1e-6 * networkLatency },
  };
}

/**
 * The figures that a benchmark of several processes tells. Empty if it has measured no steps of them. On a CPU, sums take the
 * processor from the computation.
 */
export function measuredFigures(
  processes: number,
  { gradientBytes, bucketMiB }: Pick<CaseMeasurement, 'gradientBytes' | 'bucketMiB'>,
  { training, sums, latency }: FamilyMeasurement,
): Partial<Figures> {
  const { none, after, during } = training?.variants ?? {};
  const { backward, waiting } = after ?? during ?? {};
  if (!training || !none || !backward) return {};
  const { calls, seconds } = sums.find((sum) => sum.bucketMiB === bucketMiB) ?? sums[0];
  const share = (2 * (processes - 1)) / processes;
  // A measured step is that of the slowest process. Half of the range is its distance from the mean.
  const slower = (waiting ?? 0) / 2;
  const compute = none.step - slower;
  return {
    compute,
    backward,
    clips: training.clips / processes,
    gradientGb: gradientBytes / 1e9,
    sums: calls,
    perMachine: processes,
    machineBandwidth: (gradientBytes * share) / Math.max(seconds - calls * latency, 1e-9) / 1e9,
    // A sum of one number is sent by halving and doubling.
    machineLatency: (1e6 * latency) / (2 * Math.ceil(Math.log2(processes))),
    taken: 1,
    variation: slower / compute / expectedMaximum(processes),
  };
}
