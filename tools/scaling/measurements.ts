/** @file What `npm run bench:distributed` measures. */

/** Medians over steps, in seconds of the slowest process. */
export interface StepSummary {
  /** Number of steps. */
  readonly steps: number;
  /** From the begin of the first process to the end of the last. */
  readonly step: number;
  /** The fastest step. */
  readonly fastest: number;
  /** Processor time of a process. */
  readonly processor: number;
  /** From the check of the loss to the last gradient. */
  readonly backward: number | null;
  /** From the last gradient to the end of all sums: communication that nothing hides. */
  readonly exposed: number | null;
  /** From the last gradient of the fastest process to that of the slowest. */
  readonly waiting: number | null;
}

/** How the gradients of a step are exchanged: not at all, after the backward pass, or while it goes on, as training does. */
export type Variant = 'none' | 'after' | 'during';

export interface TrainingMeasurement {
  readonly processes: number;
  readonly threads: number;
  /** Clips of all processes together. */
  readonly clips: number;
  readonly peakBytes: number;
  readonly variants: Partial<Readonly<Record<Variant, StepSummary>>>;
}

export interface SumTime {
  /** SOLVER.BUCKET_MB; null puts everything into one bucket. */
  readonly bucketMiB: number | null;
  /** Number of calls of MPI. */
  readonly calls: number;
  readonly seconds: number;
}

export interface RawTime {
  /** Bytes of each call of MPI; together they sum the same gradients. */
  readonly pieceBytes: number;
  /** Seconds of calls of MPI_Iallreduce that are begun together, and of calls of MPI_Allreduce one after the other. */
  readonly nonBlocking: number;
  readonly blocking: number;
}

export interface FamilyMeasurement {
  readonly family: string;
  /** The library and its version. */
  readonly description: string;
  /** Sums of all gradients, without computation beside them. */
  readonly sums: readonly SumTime[];
  /** Seconds of the sum of one number. */
  readonly latency: number;
  /** The same bytes from a C program; null without a compiler. */
  readonly raw: readonly RawTime[] | null;
  /** Null if it was left out. */
  readonly training: TrainingMeasurement | null;
}

export interface CaseMeasurement {
  readonly name: string;
  readonly title: string;
  readonly gradientBytes: number;
  /** SOLVER.BUCKET_MB of the training. */
  readonly bucketMiB: number;
  /** One process with all threads and clips, and one with the threads and clips of one of several. */
  readonly alone: TrainingMeasurement;
  readonly part: TrainingMeasurement;
  readonly families: readonly FamilyMeasurement[];
}

export interface Measurements {
  readonly machine: string;
  readonly processes: number;
  readonly cases: readonly CaseMeasurement[];
}

/** Sums of few numbers in a step: the command, two checks for values that are not finite, and the terms of the loss. */
export const SMALL_SUMS = 4;
