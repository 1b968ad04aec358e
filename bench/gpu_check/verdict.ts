/** @file The table and the goals at the end of `bench/gpu_check.sh`. */
import { MATRIX_RATE, ourStep, type Precision, TORCH_MODES, type TorchMode, torchStep } from './steps.js';

/** How a step went. */
export interface Outcome {
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** The JSON that it printed. */
  readonly report?: Readonly<Record<string, unknown>>;
  /** The end of its output, or why it was skipped. */
  readonly text: string;
}

export interface Goal {
  readonly goal: string;
  readonly state: 'met' | 'missed' | 'not measured';
  readonly facts: string;
}

const MIN_SHARE = 0.5;
const MAX_SECONDS = 0.02;
/** GPUs of the generation that the limit of a step is for. */
const HOPPER = /\bG?H[12]00\b/;

/** Reads numbers of the steps that passed; null where there is none. */
class Measurements {
  constructor(private readonly outcomes: readonly Outcome[]) {}

  number(step: string, key: string): number | null {
    const value = this.outcomes.find(({ name, state }) => name === step && state === 'passed')?.report?.[key];
    return typeof value === 'number' ? value : null;
  }

  ours(precision: Precision, clips: number, graphs: 'graphs' | 'no graphs' = 'graphs'): number | null {
    return this.number(ourStep(precision, clips, graphs), 'median_seconds');
  }

  torch(mode: TorchMode, clips: number): number | null {
    return this.number(torchStep(mode, clips), 'median_seconds');
  }

  /** The rate of the necessary operations, in units of the matrix rate. */
  share(step: string): number | null {
    const gflop = this.number(ourStep('bfloat16', clipsOf(step), 'graphs'), 'necessary_gflop');
    const seconds = this.number(step, 'median_seconds');
    const rate = this.number(MATRIX_RATE, 'flops_per_second');
    return gflop && seconds && rate ? (gflop * 1e9) / seconds / rate : null;
  }

  gpu(): string {
    return String(this.outcomes.find(({ name }) => name === MATRIX_RATE)?.report?.gpu ?? '');
  }
}

/** The goals for these numbers of clips. */
export function goalsOf(outcomes: readonly Outcome[], clips: readonly number[]): Goal[] {
  const measured = new Measurements(outcomes);
  const ahead = (precision: Precision, mode: TorchMode) =>
    clips.map((count) => {
      const [ours, theirs] = [measured.ours(precision, count), measured.torch(mode, count)];
      return goalOf(
        `${precision}, ${count} clips: ahead of PyTorch ${mode}`,
        ours !== null && theirs !== null ? ours < theirs : null,
        `${milliseconds(ours)} against ${milliseconds(theirs)}`,
      );
    });
  return [
    ...ahead('bfloat16', 'compiled bfloat16'),
    ...ahead('float32', 'eager float32'),
    ...clips.map((count) => {
      const share = measured.share(ourStep('bfloat16', count, 'graphs'));
      const isMet = share === null ? null : share >= MIN_SHARE;
      return goalOf(`bfloat16, ${count} clips: half of the matrix rate`, isMet, percent(share));
    }),
    stepGoal(measured),
  ];
}

function stepGoal(measured: Measurements): Goal {
  const seconds = measured.ours('bfloat16', 1);
  const isHopper = HOPPER.test(measured.gpu());
  const isMet = isHopper && seconds !== null ? seconds < MAX_SECONDS : null;
  const facts = isHopper ? milliseconds(seconds) : `${milliseconds(seconds)} on another GPU`;
  return goalOf('bfloat16, 1 clip on an H100 or H200: below 20 ms', isMet, facts);
}

function goalOf(goal: string, isMet: boolean | null, facts: string): Goal {
  return { goal, state: isMet === null ? 'not measured' : isMet ? 'met' : 'missed', facts };
}

/** The table of times, in Markdown: a row for each program, a pair of columns for each number of clips. */
export function timeTable(outcomes: readonly Outcome[], clips: readonly number[]): string {
  const measured = new Measurements(outcomes);
  const graphs = ['graphs', 'no graphs'] as const;
  const precisions = ['bfloat16', 'float32'] as const;
  const programs: ((count: number) => string)[] = [
    ...graphs.flatMap((way) =>
      precisions.map((precision) => (count: number) => ourStep(precision, count, way)),
    ),
    ...TORCH_MODES.map((mode) => (count: number) => torchStep(mode, count)),
  ];
  const header = ['program', ...clips.flatMap((count) => [`${count} clips`, 'of the matrix rate'])];
  const rows = programs.map((nameOf) => [
    nameOf(0)
      .replace(' 0 clips', '')
      .replace(/,(?=,|$)/, ''),
    ...clips.flatMap((count) => [
      milliseconds(measured.number(nameOf(count), 'median_seconds')),
      percent(measured.share(nameOf(count))),
    ]),
  ]);
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** 0 if all steps passed and no goal is missed, 1 if a step failed or found no time, 2 if goals are missed. */
export function exitCode(outcomes: readonly Outcome[], goals: readonly Goal[]): 0 | 1 | 2 {
  if (outcomes.some(({ state }) => state !== 'passed')) return 1;
  return goals.some(({ state }) => state === 'missed') ? 2 : 0;
}

function clipsOf(step: string): number {
  return Number(/(\d+) clips/.exec(step)?.[1]);
}

function milliseconds(seconds: number | null): string {
  return seconds === null ? '–' : `${(1000 * seconds).toFixed(1)} ms`;
}

function percent(share: number | null): string {
  return share === null ? '–' : `${(100 * share).toFixed(1)} %`;
}
