/** @file Several runs on one page: their curves in the same plots, their settings, and their evaluations side by side. */
import { resolve, sep } from 'node:path';
import { bestEvaluation, type Evaluation } from '../run/evaluations.js';
import type { MetricsLine } from '../run/metrics.js';
import type { Run } from '../run/read_run.js';
import { count, duration } from '../util/text.js';
import { type Figure, lossOf, MAX_DOTS, memoryOf, namesOfTerm } from './curves.js';
import { draw, pageHtml } from './html.js';
import { type Html, html } from './markup.js';
import type { Line } from './plot.js';
import { type Section, sentence, settingsOf } from './sections.js';
import { type Point, smooth, thin } from './series.js';
import { lossPoints, trainingSeconds } from './summary.js';

/** A run with the name and the look of its curves. */
interface NamedRun {
  readonly run: Run;
  readonly name: string;
  readonly style: Pick<Line, 'colour' | 'dash'>;
}

const COLOURS = ['blue', 'orange', 'green', 'purple', 'red'] as const;
const DASHES = [undefined, '7 4', '2 3', '10 3 2 3'];

/** The page of two or more runs. */
export function comparisonHtml(runs: readonly Run[]): string {
  const named = nameRuns(runs);
  return pageHtml({
    kind: 'stmixer runs',
    name: named.map(({ name }) => name).join(', '),
    where: html`${named.map(({ run }, i) => html`${i > 0 ? ' · ' : null}<code>${run.folder}</code>`)}`,
    sections: [
      summarySection(named),
      curvesSection({
        id: 'losses',
        title: 'Loss',
        figures: lossFigures(named),
        empty: 'No run has logged a loss yet.',
      }),
      curvesSection({
        id: 'pace',
        title: 'Learning rate and pace',
        figures: paceFigures(named),
        empty: 'No run has logged anything yet.',
      }),
      evaluationSection(named),
      classSection(named),
      settingsSection(named),
    ],
  });
}

/** Names each run by the end of its path, as many folders of it as tell it apart from the others. */
function nameRuns(runs: readonly Run[]): NamedRun[] {
  const paths = runs.map(({ folder }) => resolve(folder).split(sep));
  return runs.map((run, i) => {
    let length = 1;
    const end = (path: readonly string[]) => path.slice(-length).join('/');
    const isShared = () => paths.some((path, j) => j !== i && end(path) === end(paths[i]));
    while (length < paths[i].length && isShared()) length++;
    const style = {
      colour: COLOURS[i % COLOURS.length],
      dash: DASHES[Math.floor(i / COLOURS.length) % DASHES.length],
    };
    return { run, name: end(paths[i]), style };
  });
}

interface TableOptions {
  readonly label: string;
  readonly columns: readonly string[];
  /** The first cell of a row is its heading. */
  readonly rows: readonly (readonly string[])[];
  /** Whether the cells are words rather than numbers. */
  readonly words?: boolean;
}

function table({ label, columns, rows, words = false }: TableOptions): Html {
  const [first, ...others] = columns;
  return html`<div class="card scroll" tabindex="0" role="group" aria-label="${label}"><table${words ? html` class="sides"` : null}>
<thead><tr><th scope="col">${first}</th>${others.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([
      heading,
      ...cells
    ]) => html`<tr><th scope="row">${heading}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
  )}</tbody></table></div>
`;
}

function summarySection(runs: readonly NamedRun[]): Section {
  const rows = runs.map(({ run, name }) => {
    const best = bestEvaluation(run.evaluations);
    return [
      name,
      count(run.metrics.at(-1)?.iteration ?? 0),
      lossPoints(run.metrics).at(-1)?.value.toFixed(3) ?? '–',
      best?.mAP == null ? '–' : `${best.mAP.toFixed(4)} at ${count(best.iteration)}`,
      precision(run.evaluations.at(-1)?.mAP),
      duration(trainingSeconds(run)),
    ];
  });
  const columns = ['run', 'iterations', 'last loss', 'best mAP', 'last mAP', 'training time'];
  return { id: 'summary', title: 'Summary', content: table({ label: 'The runs', columns, rows }) };
}

interface Curves {
  readonly id: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly empty: string;
}

function curvesSection({ id, title, figures, empty }: Curves): Section {
  return { id, title, content: figures.length > 0 ? draw(figures) : sentence(empty) };
}

interface Curve extends Pick<Figure, 'name' | 'title' | 'note' | 'share'> {
  readonly yTitle: string;
  readonly points: (run: Run) => Point[];
  readonly dots?: boolean;
}

/** A figure with a line for each run that has values; none if no run has. */
function figureOf(runs: readonly NamedRun[], { points, yTitle, dots, ...curve }: Curve): Figure[] {
  const lines = runs.flatMap(({ run, name, style }): Line[] => {
    const own = thin(points(run));
    return own.some(({ y }) => y !== null) ? [{ name, points: own, ...style, width: 2, dots }] : [];
  });
  if (lines.length === 0) return [];
  return [{ ...curve, plot: { kind: 'lines', xTitle: 'iteration', wholeX: true, yTitle, lines } }];
}

const valuesOf = (pick: (line: MetricsLine) => number | null) => (run: Run) =>
  run.metrics.map((line) => ({ x: line.iteration, y: pick(line) }));

function lossFigures(runs: readonly NamedRun[]): Figure[] {
  const terms = new Set(runs.flatMap(({ run }) => run.metrics.flatMap(({ losses }) => [...losses.keys()])));
  const smoothed = (pick: (line: MetricsLine) => number | null) => (run: Run) =>
    smooth(thin(valuesOf(pick)(run)));
  return [
    ...figureOf(runs, {
      name: 'loss',
      title: 'Training loss, smoothed',
      note: 'The mean of all loss terms.',
      share: 'whole',
      yTitle: 'loss',
      points: smoothed(lossOf),
    }),
    ...[...terms]
      .filter((term) => !/_\d+$/.test(term))
      .flatMap((term) =>
        figureOf(runs, {
          ...namesOfTerm(term),
          note: `${term} of the last stage, smoothed`,
          share: 'quarter',
          yTitle: '',
          points: smoothed(({ losses }) => losses.get(term) ?? null),
        }),
      ),
  ];
}

function paceFigures(runs: readonly NamedRun[]): Figure[] {
  const third = { share: 'third' as const };
  return [
    ...figureOf(runs, {
      ...third,
      name: 'learning_rate',
      title: 'Learning rate',
      note: 'The highest of all parameter groups.',
      yTitle: 'lr',
      points: valuesOf(({ lr }) => (lr.length > 0 ? Math.max(...lr) : null)),
    }),
    ...figureOf(runs, {
      ...third,
      name: 'step_time',
      title: 'Seconds per step',
      note: 'Including the time spent waiting for data; without the first step, which also compiles.',
      yTitle: 'seconds',
      points: (run) => valuesOf(({ seconds }) => seconds)(run).slice(run.metrics.length > 1 ? 1 : 0),
    }),
    ...figureOf(runs, {
      ...third,
      name: 'memory',
      title: 'Memory',
      note: 'Resident memory of the training process.',
      yTitle: 'GiB',
      points: valuesOf(memoryOf),
    }),
  ];
}

function evaluationSection(runs: readonly NamedRun[]): Section {
  const section = (content: Html) => ({ id: 'evaluation', title: 'Evaluation', content });
  const iterations = [
    ...new Set(runs.flatMap(({ run }) => run.evaluations.map(({ iteration }) => iteration))),
  ];
  if (iterations.length === 0) return section(sentence('No run has been evaluated yet.'));
  const figures = figureOf(runs, {
    name: 'map',
    title: 'Mean average precision',
    note: 'On the test lists, at IoU 0.5.',
    share: 'whole',
    yTitle: 'mAP',
    dots: iterations.length <= MAX_DOTS,
    points: ({ evaluations }) => evaluations.map(({ iteration, mAP }) => ({ x: iteration, y: mAP })),
  });
  const rows = iterations
    .sort((a, b) => a - b)
    .map((iteration) => [
      count(iteration),
      ...runs.map(({ run }) => precision(run.evaluations.find((one) => one.iteration === iteration)?.mAP)),
    ]);
  const columns = ['iteration', ...runs.map(({ name }) => name)];
  return section(html`${draw(figures)}${table({ label: 'mAP by iteration', columns, rows })}`);
}

/** Average precision of each class in the last evaluation of each run, largest differences from the first run first. */
function classSection(runs: readonly NamedRun[]): Section {
  const section = (content: Html) => ({ id: 'classes', title: 'Average precision by class', content });
  const evaluated = runs.flatMap(({ run, name }) => {
    const last = run.evaluations.at(-1);
    return last === undefined ? [] : [{ name, last, byClass: classesOf(last) }];
  });
  if (evaluated.length < 2) return section(sentence('Fewer than two of the runs have been evaluated.'));
  const [first, ...others] = evaluated;
  const classes = new Map(evaluated.flatMap(({ byClass }) => [...byClass]));
  const rows = [...classes]
    .map(([key, { name, id }]) => {
      const own = first.byClass.get(key)?.ap ?? null;
      const aps = others.map(({ byClass }) => byClass.get(key)?.ap ?? null);
      const differences = aps.map((ap) => (ap === null || own === null ? null : ap - own));
      const largest = Math.max(-1, ...differences.map((value) => (value === null ? -1 : Math.abs(value))));
      const cells = aps.flatMap((ap, i) => [precision(ap), signed(differences[i])]);
      return { largest, cells: [name, String(id), precision(own), ...cells] };
    })
    .sort((a, b) => b.largest - a.largest)
    .map(({ cells }) => cells);
  const columns = [
    'class',
    'id',
    first.name,
    ...others.flatMap(({ name }) => [name, `${name} − ${first.name}`]),
  ];
  const when = evaluated.map(({ name, last }) => `${name} after iteration ${count(last.iteration)}`);
  return section(html`<p>The latest evaluations: ${when.join(', ')}. The classes that differ most from ${first.name} come first.</p>
${table({ label: 'Average precision by class', columns, rows })}`);
}

/** Classes by id and name: runs may have different label maps. */
function classesOf({ perClass }: Evaluation) {
  return new Map(perClass.map((one) => [JSON.stringify([one.id, one.name]), one]));
}

function settingsSection(runs: readonly NamedRun[]): Section {
  const section = (content: Html) => ({ id: 'configuration', title: 'Settings that differ', content });
  const known = runs.flatMap(({ run, name }) => {
    const config = run.config?.config;
    return config ? [{ name, settings: settingsOf(config) }] : [];
  });
  const unknown = runs.filter(({ run }) => !run.config?.config).map(({ name }) => name);
  const note =
    unknown.length === 0
      ? null
      : sentence(`There is no config.yaml that this version can read in ${unknown.join(', ')}.`);
  if (known.length < 2) return section(note ?? sentence('There is nothing to compare.'));
  const keys = [...new Set(known.flatMap(({ settings }) => [...settings.keys()]))];
  const rows = keys
    .map((key) => [key, ...known.map(({ settings }) => settings.get(key) ?? '–')])
    .filter(([key, ...values]) => key !== 'OUTPUT_DIR' && new Set(values).size > 1);
  const columns = ['setting', ...known.map(({ name }) => name)];
  const content =
    rows.length === 0
      ? sentence('All settings are the same.')
      : table({ label: 'Settings that differ', columns, rows, words: true });
  return section(html`${note}${content}`);
}

function precision(value: number | null | undefined): string {
  return value == null ? '–' : value.toFixed(4);
}

function signed(value: number | null): string {
  if (value === null) return '–';
  const text = Math.abs(value).toFixed(4);
  return Number(text) === 0 ? text : `${value < 0 ? '−' : '+'}${text}`;
}
