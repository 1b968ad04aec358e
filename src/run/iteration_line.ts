/** @file The line of an iteration for people: as a sentence with labels, and as the row of a table. */
import { GIB, gib, roughDuration } from '../util/text.js';
import type { MetricsLine } from './metrics.js';

/** The terms of the last decoder stage by their short names. Those of earlier stages have a number at the end. */
function lastStageTerms(losses: MetricsLine['losses']): [name: string, value: number | null][] {
  return Array.from(losses)
    .filter(([name]) => !/_\d+$/.test(name))
    .map(([name, value]) => [name.replace(/^loss_/, ''), value]);
}

/** The line with a label before each value, which can be read without the lines around it. */
export function iterationSentence(line: MetricsLine, maxIterations: number): string {
  return [
    `iter ${line.iteration}/${maxIterations}`,
    `loss ${decimals(line.loss)}`,
    ...lastStageTerms(line.losses).map(([name, value]) => `${name} ${decimals(value)}`),
    `lr ${rate(line.lr)}`,
    `${seconds(line.seconds)} s/it`,
    `data ${seconds(line.dataSeconds)} s`,
    `mem ${line.memoryBytes === null ? UNKNOWN : gib(line.memoryBytes)}`,
    `eta ${eta(line)}`,
  ].join('  ');
}

/** A column of the table. All widths are fixed, so that rows stay aligned. */
export interface Column {
  readonly title: string;
  readonly width: number;
  readonly text: string;
}

/** Characters between two columns. */
export const CELL_GAP = '  ';
/** The columns that a narrow terminal still shows, the most important one first. The terms of the loss are one group. */
const PRIORITY = ['iter', 'loss', 'eta', 's/it', 'lr', 'terms', 'mem GiB', 'data s'];

/** Columns of a row in their order, as many as fit into `width` characters. */
export function iterationColumns(line: MetricsLine, maxIterations: number, width: number): Column[] {
  const column = (title: string, size: number, text: string) => ({ title, width: size, text });
  const counter = `${maxIterations}`.length;
  const all: [group: string, columns: Column[]][] = [
    ['iter', [column('iter', Math.max(4, 2 * counter + 1), `${line.iteration}/${maxIterations}`)]],
    ['loss', [column('loss', 6, decimals(line.loss))]],
    ['terms', lastStageTerms(line.losses).map(([name, value]) => column(name, 6, decimals(value)))],
    ['lr', [column('lr', 8, rate(line.lr))]],
    ['s/it', [column('s/it', 6, seconds(line.seconds))]],
    ['data s', [column('data s', 6, seconds(line.dataSeconds))]],
    ['mem GiB', [column('mem GiB', 7, memory(line))]],
    ['eta', [column('eta', 12, eta(line))]],
  ];
  const shown = new Set<string>();
  // The last column has no gap after it.
  let left = width + CELL_GAP.length;
  for (const group of PRIORITY) {
    const columns = all.find(([name]) => name === group)?.[1] ?? [];
    const needed = columns.reduce((sum, { width: size }) => sum + size + CELL_GAP.length, 0);
    if (shown.size > 0 && needed > left) continue;
    shown.add(group);
    left -= needed;
  }
  return all.flatMap(([group, columns]) => (shown.has(group) ? columns : []));
}

/** The cells of a row, right-aligned. */
export function alignedCells(columns: readonly Column[], pick: (column: Column) => string): string[] {
  return columns.map((column) => pick(column).padStart(column.width));
}

const UNKNOWN = '–';

/** Four significant digits in at most six characters, e.g. `0.1234`, `12.34`, `1.2e+6`. */
function decimals(value: number | null): string {
  if (value === null) return UNKNOWN;
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 99_999.5)) return value.toExponential(1).replace('e+', 'e');
  if (size >= 1000) return value.toFixed(0);
  return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4);
}

/** At most six characters, with the same number of digits for values of one size. */
function seconds(value: number | null): string {
  if (value === null) return UNKNOWN;
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 4);
}

/** The highest learning rate: groups may differ. */
function rate(lr: readonly number[]): string {
  return lr.length === 0
    ? UNKNOWN
    : Math.max(...lr)
        .toExponential(2)
        .replace('e+', 'e');
}

function memory({ memoryBytes }: MetricsLine): string {
  return memoryBytes === null ? UNKNOWN : (memoryBytes / GIB).toFixed(2);
}

function eta({ etaSeconds }: MetricsLine): string {
  return roughDuration(etaSeconds ?? Number.NaN);
}
