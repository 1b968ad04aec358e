/** @file What the processes of `npm run bench:distributed` do, and what they report. */
import type { SumTime, Variant } from '../../tools/scaling/measurements.js';
import type { ClipSize } from '../random_batch.js';
import type { StepTime } from './step_times.js';

interface Model {
  readonly configFile: string;
  readonly overrides: readonly string[];
}

export interface DescribeJob extends Model {
  readonly kind: 'describe';
}

export interface AllReduceJob {
  readonly kind: 'all-reduce';
  /** Number of elements of each gradient. */
  readonly lengths: readonly number[];
  /** SOLVER.BUCKET_MB; null puts everything into one bucket. */
  readonly bucketMiB: readonly (number | null)[];
  readonly repetitions: number;
}

/** `batch` is the number of clips of all processes together. */
export interface StepsJob extends Model, ClipSize {
  readonly kind: 'steps';
  readonly variants: readonly Variant[];
  /** Steps of each variant before the timed ones, and timed ones. */
  readonly warmup: number;
  readonly iters: number;
}

export type Job = DescribeJob | AllReduceJob | StepsJob;

export interface ModelFacts {
  readonly engine: string;
  readonly matMulGflops: number;
  /** Number of elements of each trained parameter. */
  readonly lengths: readonly number[];
  /** SOLVER.BUCKET_MB. */
  readonly bucketMiB: number;
}

export interface AllReduceTimes {
  readonly description: string;
  readonly sums: readonly SumTime[];
  /** Seconds of the sum of one number. */
  readonly latency: number;
}

export interface StepTimes {
  readonly times: readonly StepTime[];
  readonly peakBytes: number;
}
