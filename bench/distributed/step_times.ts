/** @file The times of training steps by several processes, and what they say about the communication. */
import { median } from '../statistics.js';
import type { Variant } from './jobs.js';

/** When the gradients of a step were summed, in seconds on the clock of the machine. */
export interface SumTrace {
  /** The first gradient was ready. */
  readonly firstReady: number;
  /** All gradients were ready. */
  readonly backwardEnd: number;
  /** All sums were complete. */
  readonly summed: number;
}

/** One step in one process. */
export interface ProcessStep extends Partial<SumTrace> {
  readonly begin: number;
  readonly end: number;
  /** Seconds of processor time of all threads. */
  readonly processor: number;
  /** When the backward pass began. */
  readonly lossChecked?: number;
}

export interface StepTime {
  readonly variant: Variant;
  readonly loss: number;
  /** By rank. */
  readonly processes: readonly ProcessStep[];
}

export interface StepTimes {
  readonly engine: string;
  readonly times: readonly StepTime[];
  readonly peakBytes: number;
}

/** Medians over the steps of one variant, in seconds. */
export interface StepSummary {
  readonly steps: number;
  /** From the begin of the first process to the end of the last. */
  readonly step: number;
  /** The fastest step. */
  readonly fastest: number;
  /** Processor time of a process. */
  readonly processor: number;
  /** From the check of the loss to the last gradient of the slowest process. */
  readonly backward: number | null;
  /** From the last gradient of the slowest process to the end of all sums: communication that nothing hides. */
  readonly exposed: number | null;
  /** From the last gradient of the fastest process to that of the slowest. */
  readonly waiting: number | null;
}

const largest = (values: readonly number[]) => Math.max(...values);
const smallest = (values: readonly number[]) => Math.min(...values);

/** Summarises the steps of a variant; null if there are none. */
export function summarize(times: readonly StepTime[], variant: Variant): StepSummary | null {
  const steps = times.filter((time) => time.variant === variant).map(({ processes }) => processes);
  if (steps.length === 0) return null;
  const of = (measure: (processes: readonly ProcessStep[]) => number) => median(steps.map(measure));
  const at = (processes: readonly ProcessStep[], name: Exclude<keyof ProcessStep, 'processor'>) =>
    processes.map((own) => own[name] ?? Number.NaN);
  const whole = (processes: readonly ProcessStep[]) =>
    largest(at(processes, 'end')) - smallest(at(processes, 'begin'));
  const traced = (measure: (processes: readonly ProcessStep[]) => number) =>
    variant === 'none' ? null : of(measure);
  return {
    steps: steps.length,
    step: of(whole),
    fastest: smallest(steps.map(whole)),
    processor: of((processes) => median(processes.map(({ processor }) => processor))),
    backward: traced((all) => largest(at(all, 'backwardEnd')) - largest(at(all, 'lossChecked'))),
    exposed: traced((all) => largest(at(all, 'summed')) - largest(at(all, 'backwardEnd'))),
    waiting: traced((all) => largest(at(all, 'backwardEnd')) - smallest(at(all, 'backwardEnd'))),
  };
}
