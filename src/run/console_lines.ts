/** @file The log as people read it on a console: a time before each line, and iterations as the rows of a table. */
import { isObject, numberOrNull, parseObject } from '../util/json.js';
import { type Paint, painter } from '../util/paint.js';
import { alignedCells, CELL_GAP, type Column, iterationColumns } from './iteration_line.js';
import { type MetricsLine, parseMetrics } from './metrics.js';

export interface ConsoleStyle {
  readonly color: boolean;
  /** Writes date, time and zone instead of the time alone. */
  readonly dates: boolean;
  /** Characters in a line. */
  readonly width: () => number;
}

/** Lines after which the titles of the columns are repeated. */
const TITLES_EVERY = 20;

const LEVELS: readonly [above: number, name: string, style: Parameters<Paint>[0]][] = [
  [50, 'ERROR', 'red'],
  [40, 'WARN', 'yellow'],
  [30, '', 'reset'],
  [0, 'DEBUG', 'dim'],
];

/** A share of the time of an iteration from which the wait for data is a problem. */
const SLOW_DATA = 0.2;

export class ConsoleLines {
  readonly #paint: Paint;
  /** Titles of the columns that were shown last. */
  #titles = '';
  #sinceTitles = 0;

  constructor(private readonly style: ConsoleStyle) {
    this.#paint = painter(style.color);
  }

  /** Returns the text, with a line break at its end, for a line of log.jsonl. */
  format(json: string): string {
    const entry = parseObject(json) ?? {};
    const time = timeText(numberOrNull(entry.time) ?? Date.now(), this.style.dates);
    const metrics = isObject(entry.losses) ? parseMetrics(entry) : null;
    const max = numberOrNull(entry.max_iterations);
    if (metrics && max !== null)
      return this.#rows(time, iterationColumns(metrics, max, this.#room(time)), metrics);
    const [, name, style] = LEVELS.find(([above]) => (numberOrNull(entry.level) ?? 0) >= above)!;
    const level = name === '' ? '' : `${this.#paint(style, name)}: `;
    return this.#line(time, `${level}${String(entry.msg ?? '')}`);
  }

  #room(time: string): number {
    return this.style.width() - time.length - CELL_GAP.length;
  }

  #line(time: string, text: string): string {
    this.#sinceTitles += 1;
    return `${this.#paint('dim', time)}${CELL_GAP}${text}\n`;
  }

  #rows(time: string, columns: readonly Column[], metrics: MetricsLine): string {
    const titles = alignedCells(columns, ({ title }) => title).join(CELL_GAP);
    const isDue = titles !== this.#titles || this.#sinceTitles >= TITLES_EVERY;
    const head = isDue ? `${' '.repeat(time.length)}${CELL_GAP}${this.#paint('dim', titles)}\n` : '';
    if (isDue) this.#sinceTitles = 0;
    this.#titles = titles;
    const cells = alignedCells(columns, ({ text }) => text).map((cell, i) =>
      this.#paint(styleOf(columns[i].title, metrics), cell),
    );
    return head + this.#line(time, cells.join(CELL_GAP));
  }
}

function styleOf(title: string, { skipped, seconds, dataSeconds }: MetricsLine): Parameters<Paint>[0] {
  if (skipped) return 'red';
  if (title === 'iter') return 'cyan';
  if (title === 'loss') return 'bold';
  if (title === 'eta') return 'green';
  if (title === 'data s' && (dataSeconds ?? 0) > SLOW_DATA * (seconds ?? 0)) return 'yellow';
  return 'reset';
}

/** `08:12:33`, or `2026-01-31 08:12:33+01:00`, in the time zone of this machine. */
export function timeText(milliseconds: number, dates: boolean): string {
  const date = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  if (!dates) return clock;
  const offset = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map(two);
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${clock}${offset < 0 ? '-' : '+'}${hours}:${minutes}`;
}
