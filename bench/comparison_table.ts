/** @file The tables of `npm run bench:compare`. */
import type { Case } from './cases.js';
import type { Program, StepReport } from './programs.js';
import { median } from './statistics.js';

/** One process: a program that ran the steps of a case. */
export interface Measurement {
  readonly case: string;
  readonly program: Program;
  readonly round: number;
  readonly report: StepReport;
}

const PARTS = ['backbone', 'neck', 'decoder', 'optimizer'];
const MISSING = '–';

/** The Markdown table of all programs, case by case. */
export function comparisonTable(cases: readonly Case[], measurements: readonly Measurement[]): string {
  const header = [
    ...['case', 'program', 'seconds, median (min)', 'ours / best PyTorch', ...PARTS],
    ...['JavaScript', 'peak memory', 'matMul, GFLOP/s'],
  ];
  const rows = cases.flatMap(({ name, title }) => {
    const programs: Program[] = ['stmixer', 'PyTorch, tuned', 'PyTorch, untuned'];
    const reports = programs.map((program) => reportsOf(measurements, name, program));
    return programs.map((program, i) => [
      i === 0 ? title : '',
      program,
      spread(reports[i]),
      i === 0 ? ratioToBest(reports) : '',
      ...figures(reports[i]),
    ]);
  });
  return markdown(header, rows);
}

/** The Markdown table of our program alone and beside a process that keeps one core busy. */
export function busyTable(cases: readonly Case[], measurements: readonly Measurement[]): string {
  const rows = cases.map(({ name, title }) => {
    const alone = reportsOf(measurements, name, 'stmixer');
    const busy = reportsOf(measurements, name, 'stmixer, one core busy');
    return [title, spread(alone), spread(busy), ratioToBest([busy, alone])];
  });
  return markdown(['case', 'undisturbed, s', 'one core busy, s', 'ratio'], rows);
}

function reportsOf(measurements: readonly Measurement[], name: string, program: Program): StepReport[] {
  return measurements.filter((m) => m.case === name && m.program === program).map(({ report }) => report);
}

/** The first program's time in units of the best other one: the ratio of medians, and that of minima. */
function ratioToBest(reports: readonly (readonly StepReport[])[]): string {
  const [ours, ...others] = reports.map(secondsOf).filter((seconds) => seconds.length > 0);
  if (reports[0].length === 0 || others.length === 0) return MISSING;
  const ratio = (statistic: (seconds: readonly number[]) => number) =>
    (statistic(ours) / Math.min(...others.map(statistic))).toFixed(2);
  return `${ratio(median)} (${ratio((seconds) => Math.min(...seconds))})`;
}

function secondsOf(reports: readonly StepReport[]): number[] {
  return reports.flatMap(({ seconds }) => seconds);
}

function spread(reports: readonly StepReport[]): string {
  const seconds = secondsOf(reports);
  return seconds.length > 0 ? `${figure(median(seconds))} (${figure(Math.min(...seconds))})` : MISSING;
}

/** Cells of the parts, JavaScript, memory and matMul rate: medians of the rounds, and the highest peak. */
function figures(reports: readonly StepReport[]): string[] {
  const cell = (
    measure: (report: StepReport) => number | null | undefined,
    show: (value: number) => string,
  ) => {
    const value = medianOf(reports.map(measure));
    return value === null ? MISSING : show(value);
  };
  const peak = Math.max(...reports.map(({ peak_bytes }) => peak_bytes));
  return [
    ...PARTS.map((part) => cell((report) => report.part_seconds[part], figure)),
    cell(
      (report) => report.javascript_seconds,
      (seconds) => `${(1000 * seconds).toFixed(0)} ms`,
    ),
    reports.length > 0 ? `${(peak / 1e9).toFixed(2)} GB` : MISSING,
    cell(
      (report) => report.matmul_gflop_per_second,
      (rate) => rate.toFixed(0),
    ),
  ];
}

function medianOf(values: readonly (number | null | undefined)[]): number | null {
  const numbers = values.filter((value) => typeof value === 'number');
  return numbers.length > 0 ? median(numbers) : null;
}

/** Seconds with three significant digits or so. */
function figure(seconds: number): string {
  return seconds.toFixed(seconds >= 10 ? 1 : seconds >= 0.1 ? 2 : 3);
}

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, header.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
