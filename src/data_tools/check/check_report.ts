/** @file The report of a data set check as text and as JSON. */
import { styleText } from 'node:util';
import { alignColumns } from '../../util/table.js';
import { count } from '../../util/text.js';
import { type CheckReport, type ClassNumbers, hasErrors } from './check.js';
import type { Finding, Severity } from './findings.js';
import { settingsObject, settingsYaml } from './suggested_settings.js';

/** The report as one JSON object, keys in snake case. */
export function checkJson(report: CheckReport): string {
  const splits = Object.entries(report.splits).map(([split, { keyFrames, ...numbers }]) => [
    split,
    { ...numbers, key_frames: keyFrames },
  ]);
  const { classes, findings, settings } = report;
  return JSON.stringify(
    {
      ok: !hasErrors(report),
      splits: Object.fromEntries(splits),
      classes,
      findings,
      settings: settings && settingsObject(settings),
    },
    null,
    2,
  );
}

const COLOURS = { error: 'red', warning: 'yellow', note: 'cyan' } as const;

export interface TextOptions {
  /** Whether to colour severities. */
  readonly colour: boolean;
  /** Columns of the terminal. */
  readonly width: number;
}

/** The report for people to read. */
export function checkText(report: CheckReport, options: TextOptions): string {
  const { width } = options;
  const lines = [...splitTable(report), ''];
  if (report.classes.length > 0) lines.push(...classTable(report.classes, width), '');
  for (const finding of report.findings) lines.push(...describe(finding, options), '');
  const number = (severity: Severity) => report.findings.filter((f) => f.severity === severity).length;
  const sums = (['error', 'warning', 'note'] as const)
    .map((severity) => ({ severity, n: number(severity) }))
    .filter(({ n }) => n > 0)
    .map(({ severity, n }) => `${n} ${severity}${n === 1 ? '' : 's'}`);
  const verdict = hasErrors(report) ? 'training or its evaluation would fail' : 'ready to train';
  lines.push(`${verdict}${sums.length ? `: ${sums.join(', ')}` : ''}`);
  if (report.settings !== null) {
    const when = hasErrors(report) ? ', once the errors are corrected' : '';
    lines.push('', `# settings to train with${when}`, ...settingsYaml(report.settings));
  }
  return lines.join('\n');
}

function splitTable({ splits }: CheckReport): string[] {
  const titles = ['', 'videos', 'frames', 'key frames', 'boxes', 'labels'];
  const rows = Object.entries(splits).map(([split, n]) => [
    split,
    ...[n.videos, n.frames, n.keyFrames, n.boxes, n.labels].map(count),
  ]);
  return alignColumns([titles, ...rows], (column) => column > 0);
}

const LONGEST_NAME = 40;

/** Actions with their boxes in train and test, in as many columns as fit. */
function classTable(classes: readonly ClassNumbers[], width: number): string[] {
  const names = classes.map(({ name }) => {
    const text = name ?? '(not in the label map)';
    return text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text;
  });
  const widest = (texts: readonly string[]) => Math.max(...texts.map((text) => text.length));
  const widths = {
    id: widest(classes.map(({ id }) => String(id))),
    name: Math.max('action'.length, widest(names)),
    train: Math.max('train'.length, widest(classes.map(({ train }) => count(train)))),
    test: Math.max('test'.length, widest(classes.map(({ test }) => count(test)))),
  };
  const cell = (id: string, name: string, train: string, test: string) =>
    `${id.padStart(widths.id)} ${name.padEnd(widths.name)}  ${train.padStart(widths.train)}  ${test.padStart(widths.test)}`;
  const cells = classes.map(({ id, train, test }, i) =>
    cell(String(id), names[i], count(train), count(test)),
  );
  const gap = '    ';
  const columns = Math.max(
    1,
    Math.min(cells.length, Math.floor((width + gap.length) / (cells[0].length + gap.length))),
  );
  const rows = Math.ceil(cells.length / columns);
  const title = cell('', 'action', 'train', 'test');
  const used = Math.ceil(cells.length / rows);
  return [
    Array(used).fill(title).join(gap).trimEnd(),
    ...Array.from({ length: rows }, (_, row) =>
      cells
        .filter((_, i) => i % rows === row)
        .join(gap)
        .trimEnd(),
    ),
  ];
}

function describe(
  { severity, split, message, count: n, examples, advice }: Finding,
  { colour }: TextOptions,
): string[] {
  const label = colour ? styleText(COLOURS[severity], severity, { validateStream: false }) : severity;
  const head = `${label}${split ? ` ${split}` : ''}: ${message}${n > 1 ? ` (${count(n)})` : ''}`;
  const more = n - examples.length;
  return [
    head,
    ...examples.map((example) => `  ${example.replaceAll('\n', '\n  ')}`),
    ...(more > 0 && examples.length > 1 ? [`  and ${count(more)} more`] : []),
    ...(advice ? [`  → ${advice}`] : []),
  ];
}
