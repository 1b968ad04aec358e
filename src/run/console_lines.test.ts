/** @file The log as a console shows it. */
import { expect, it } from 'vitest';
import { ConsoleLines, timeText } from './console_lines.js';
import { iterationSentence } from './iteration_line.js';
import { RunLog } from './log.js';
import { type MetricsLine, metricsJson } from './metrics.js';

const TERMS = ['bce', 'ce', 'giou', 'bbox'];
const STAGES = ['', '_0', '_1', '_2', '_3', '_4'];

function line(changes: Partial<MetricsLine> = {}): MetricsLine {
  return {
    iteration: 120_000,
    epoch: 6,
    loss: 12.34567,
    lossAverage: 13,
    losses: new Map(
      STAGES.flatMap((stage) => TERMS.map((term, i) => [`loss_${term}${stage}`, 0.123456 * 10 ** i])),
    ),
    gradNorm: 3,
    lr: [1e-5, 2e-5],
    seconds: 1.7234,
    dataSeconds: 0.01234,
    etaSeconds: 97_200,
    memoryBytes: 11.5 * 2 ** 30,
    skipped: null,
    ...changes,
  };
}

const TIME = new Date(2026, 0, 31, 8, 5, 9).getTime();

function json(changes: Partial<MetricsLine> = {}, max = 276_576): string {
  return JSON.stringify({
    level: 30,
    time: TIME,
    ...metricsJson(line(changes)),
    max_iterations: max,
    msg: 'm',
  });
}

const lines = (width: number, color = false, dates = false) =>
  new ConsoleLines({ color, dates, width: () => width });

it('shows an iteration in at most 120 columns, under the titles of the columns', () => {
  const [titles, row] = lines(120).format(json()).split('\n');
  expect(row).toBe(
    '08:05:09  120000/276576   12.35  0.1235   1.235   12.35   123.5   2.00e-5    1.72  0.0123    11.50     1 day 3 h',
  );
  expect(titles.trim().split(/ {2,}/)).toEqual([
    'iter',
    'loss',
    'bce',
    'ce',
    'giou',
    'bbox',
    'lr',
    's/it',
    'data s',
    'mem GiB',
    'eta',
  ]);
  expect(titles).toHaveLength(row.length);
  expect(row.length).toBeLessThanOrEqual(120);
});

it.each([
  [100, ['iter', 'loss', 'bce', 'ce', 'giou', 'bbox', 'lr', 's/it', 'eta']],
  [80, ['iter', 'loss', 'lr', 's/it', 'data s', 'mem GiB', 'eta']],
  [50, ['iter', 'loss', 'eta']],
  [10, ['iter']],
])('shows the most important columns in %i columns', (width, columns) => {
  const [titles, row] = lines(width).format(json()).split('\n');
  expect(titles.trim().split(/ {2,}/)).toEqual(columns);
  if (width > 30) expect(row.length).toBeLessThanOrEqual(width);
});

it('aligns small, large and missing numbers', () => {
  const console = lines(120);
  const first = console.format(json()).split('\n')[1];
  const tiny = { loss: 0.00001234, lr: [1e-12], seconds: 123.4, dataSeconds: 1e-7, etaSeconds: 5 };
  const rows = [
    console.format(json({ iteration: 1, ...tiny })),
    console.format(json({ loss: 1.5e12, lr: [0.01], memoryBytes: 700 * 2 ** 30, etaSeconds: 40_000_000 })),
    console.format(
      json({ loss: null, lr: [], seconds: null, dataSeconds: null, etaSeconds: null, memoryBytes: null }),
    ),
  ];
  for (const row of rows) expect(row).toHaveLength(first.length + 1);
});

it('repeats the titles after twenty lines', () => {
  const console = lines(120);
  const shown = Array.from({ length: 50 }, () => console.format(json()).split('\n').length - 1);
  expect(shown.flatMap((count, i) => (count === 2 ? [i] : []))).toEqual([0, 20, 40]);
});

it('writes warnings with their level, and colours only where they are wanted', () => {
  const warning = JSON.stringify({ level: 40, time: TIME, msg: 'careful' });
  expect(lines(120).format(warning)).toBe('08:05:09  WARN: careful\n');
  expect(lines(120, true).format(warning)).toContain('\x1b[33mWARN');
  expect(lines(120).format(json())).not.toContain('\x1b');
  expect(lines(120, true).format(json())).toContain('\x1b[1m');
});

it('writes date, time and zone where the output is kept', () => {
  expect(timeText(TIME, true)).toMatch(/^2026-01-31 08:05:09[+-]\d\d:\d\d$/);
  expect(Date.parse(timeText(TIME, true))).toBe(TIME);
});

it('the log with quiet shows only warnings and errors, and keeps everything for the file', () => {
  const shown: string[] = [];
  const { logger } = new RunLog({ console: { write: (text) => void shown.push(text) }, quiet: true });
  logger.info('a note');
  logger.warn('a warning');
  logger.error('an error');
  expect(shown.map((text) => text.replace(/^\S+ +/, ''))).toEqual(['WARN: a warning\n', 'ERROR: an error\n']);
});

it('the sentence of an iteration has a label before each value, and the terms of the last stage only', () => {
  expect(iterationSentence(line(), 276_576)).toBe(
    'iter 120000/276576  loss 12.35  bce 0.1235  ce 1.235  giou 12.35  bbox 123.5  lr 2.00e-5  1.72 s/it  data 0.0123 s  ' +
      'mem 11.50 GiB  eta 1 day 3 h',
  );
});
