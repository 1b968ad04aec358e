/**
 * @file A model of a training step by many processes: what it costs to wait for the sums of the gradients, for the slowest process
 * and for the data. Each process computes the same number of clips, however many processes there are.
 *
 * A sum of n bytes by P processes takes `messages(P) · latency + n / bandwidth · 2 (P − 1) / P`. A ring sends 2 (P − 1) messages
 * one after the other; recursive halving and doubling sends 2 ⌈log₂ P⌉. In both, every step waits for the slowest connection, so
 * that more than one machine has the latency and bandwidth of the network. Sums follow one another.
 *
 * Gradients become ready evenly during the backward pass, in proportion to their bytes. What is summed before its end is hidden,
 * except for the share `taken` of that time, in which the summing takes the processor from the computation.
 */

export const ALGORITHMS = ['ring', 'halving'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** A connection between two processes. */
export interface Connection {
  /** Seconds of a message without content. */
  readonly latency: number;
  /** Bytes per second. */
  readonly bandwidth: number;
}

export interface Cluster {
  /** Seconds of a step without communication, and of the backward pass in it. */
  readonly compute: number;
  readonly backward: number;
  /** Clips that each process computes in a step. */
  readonly clips: number;
  readonly gradientBytes: number;
  /** Number of sums that the gradients take. */
  readonly sums: number;
  /** Number of sums of few numbers in a step, for which all processes wait. */
  readonly smallSums: number;
  readonly perMachine: number;
  readonly inMachine: Connection;
  readonly network: Connection;
  readonly algorithm: Algorithm;
  /** Share of the time of hidden sums in which the processor computes nothing else: 1 on CPUs, 0 for GPUs that copy by themselves. */
  readonly taken: number;
  /** Standard deviation of `compute` between processes and steps, as a share of it. */
  readonly variation: number;
  /** Seconds in which a process loads one clip; 0 if loading is never slower than the step. */
  readonly loading: number;
}

export const COSTS = ['bandwidth', 'latency', 'waiting', 'loading'] as const;
export type Cost = (typeof COSTS)[number];

export interface Prediction {
  readonly processes: number;
  /** Seconds. */
  readonly step: number;
  readonly clipsPerSecond: number;
  /** Clips per second as a share of those of as many independent processes. */
  readonly efficiency: number;
  /** Seconds that each cost adds to the computation. */
  readonly costs: Readonly<Record<Cost, number>>;
  /** The largest cost if it is more than a tenth of the computation, else the computation. */
  readonly bound: Cost | 'compute';
}

/** A cost below this share of the computation bounds nothing. */
const NEGLIGIBLE = 0.1;

/** Predicts the step of `processes` processes. */
export function predict(cluster: Cluster, processes: number): Prediction {
  const { compute, clips, variation, loading } = cluster;
  const exposed = exposedSeconds(cluster, processes);
  const bandwidth = exposedSeconds(withoutLatency(cluster), processes);
  const small = cluster.smallSums * messages('halving', processes) * connection(cluster, processes).latency;
  const waiting = compute * variation * expectedMaximum(processes);
  const latency = exposed - bandwidth + small;
  const ready = compute + bandwidth + latency + waiting;
  const costs = { bandwidth, latency, waiting, loading: Math.max(0, loading * clips - ready) };
  const step = ready + costs.loading;
  const alone = Math.max(compute, loading * clips);
  const largest = COSTS.reduce((a, b) => (costs[b] > costs[a] ? b : a));
  return {
    processes,
    step,
    clipsPerSecond: (processes * clips) / step,
    efficiency: alone / step,
    costs,
    bound: costs[largest] > NEGLIGIBLE * compute ? largest : 'compute',
  };
}

/** Seconds that a sum of `bytes` takes. */
export function sumSeconds(cluster: Cluster, processes: number, bytes: number): number {
  if (processes === 1) return 0;
  const { latency, bandwidth } = connection(cluster, processes);
  const share = (2 * (processes - 1)) / processes;
  return messages(cluster.algorithm, processes) * latency + (bytes / bandwidth) * share;
}

/** Seconds that the sums of the gradients add to a step. */
export function exposedSeconds(cluster: Cluster, processes: number): number {
  const { backward, gradientBytes, sums, taken } = cluster;
  const each = sumSeconds(cluster, processes, gradientBytes / sums);
  let end = 0;
  for (let i = 1; i <= sums; i++) end = Math.max(end, (backward * i) / sums) + each;
  const exposed = end - backward;
  return exposed + taken * (each * sums - exposed);
}

/** Messages that are sent one after the other. */
function messages(algorithm: Algorithm, processes: number): number {
  return 2 * (algorithm === 'ring' ? processes - 1 : Math.ceil(Math.log2(processes)));
}

/** The slowest connection. */
function connection({ perMachine, inMachine, network }: Cluster, processes: number): Connection {
  if (processes <= perMachine) return inMachine;
  return {
    latency: Math.max(inMachine.latency, network.latency),
    bandwidth: Math.min(inMachine.bandwidth, network.bandwidth),
  };
}

function withoutLatency(cluster: Cluster): Cluster {
  const without = ({ bandwidth }: Connection) => ({ latency: 0, bandwidth });
  return { ...cluster, inMachine: without(cluster.inMachine), network: without(cluster.network) };
}

/** Expected maximum of `count` numbers from the standard normal distribution. */
export function expectedMaximum(count: number): number {
  if (count === 1) return 0;
  const [limit, dx] = [9, 1e-3];
  let [below, expected] = [0, 0];
  for (let x = -limit; x < limit; x += dx) {
    const density = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * dx;
    expected += x * count * density * (below + density / 2) ** (count - 1);
    below += density;
  }
  return expected;
}
