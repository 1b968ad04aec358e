/** @file The times of training steps by several processes, and what they say about the communication. */
import type { StepSummary, Variant } from '../../tools/scaling/measurements.js';
import { median } from '../statistics.js';

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

const largest = (values: readonly number[]) => Math.max(...values);
const smallest = (values: readonly number[]) => Math.min(...values);

/** Summarises the steps of a variant; undefined if there are none. */
export function summarize(times: readonly StepTime[], variant: Variant): StepSummary | undefined {
  const steps = times.filter((time) => time.variant === variant).map(({ processes }) => processes);
  if (steps.length === 0) return undefined;
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
