/** @file The report of a run as one HTML page that loads nothing else. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { readPrecisionRecall } from '../run/evaluations.js';
import type { Run } from '../run/read_run.js';
import {
  classFigures,
  type Figure,
  lossFigure,
  lrFigure,
  mapFigure,
  memoryFigure,
  precisionRecallFigures,
  termFigures,
  timeFigure,
} from './curves.js';
import type { ExampleFigure } from './example_pictures.js';
import { figureHtml } from './figure_html.js';
import { Html, html } from './markup.js';
import { paletteCss } from './palette.js';
import {
  classTable,
  configSection,
  environmentSection,
  evaluationSentence,
  examplesHtml,
  messagesSection,
  moment,
  type Section,
  sentence,
  summarySection,
} from './sections.js';

/** The figures of a run by section of the page. */
export interface Figures {
  readonly loss: readonly Figure[];
  readonly terms: readonly Figure[];
  readonly pace: readonly Figure[];
  readonly evaluation: readonly Figure[];
  readonly precisionRecall: readonly Figure[];
}

export function figuresOf(run: Run): Figures {
  const { metrics, evaluations } = run;
  const last = evaluations.at(-1);
  const some = (...figures: (Figure | null)[]) => figures.filter((figure) => figure !== null);
  return {
    loss: some(lossFigure(metrics)),
    terms: termFigures(metrics),
    pace: some(lrFigure(metrics), timeFigure(metrics), memoryFigure(metrics)),
    evaluation: last ? [...some(mapFigure(evaluations)), ...classFigures(last)] : [],
    precisionRecall: last ? precisionRecallFigures(readPrecisionRecall(run.folder, last), last) : [],
  };
}

export interface PageOptions {
  readonly figures: Figures;
  readonly examples: readonly ExampleFigure[] | string;
  /** State of the files that the page shows. Such a page asks the server that it came from for changes. */
  readonly version?: string;
}

/** The page of a run. */
export function reportHtml(run: Run, { figures, examples, version }: PageOptions): string {
  const changed = run.changed > 0 ? ` · last change ${moment(run.changed)}` : '';
  return pageHtml({
    kind: 'stmixer run',
    name: basename(resolve(run.folder)),
    where: html`<code>${run.folder}</code>${changed}`,
    sections: sectionsOf(run, figures, examples),
    version,
  });
}

export interface Page {
  /** What the page shows, such as a run. */
  readonly kind: string;
  readonly name: string;
  /** The folders that it shows. */
  readonly where: Html;
  readonly sections: readonly Section[];
  readonly version?: string;
}

/** A whole page, which loads nothing else. */
export function pageHtml({ kind, name, where, sections, version }: Page): string {
  const live = version !== undefined;
  const script = asset('page.js');
  // The browser runs this one script and loads nothing, whatever a name or a setting may contain.
  const policy = [
    "default-src 'none'",
    'img-src data:',
    "style-src 'unsafe-inline'",
    `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`,
    `connect-src ${live ? "'self'" : "'none'"}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const { text } = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}: ${kind}</title>
<link rel="icon" href="data:,">
<style>${new Html(paletteCss() + asset('page.css'))}</style>
${live ? html`<noscript><meta http-equiv="refresh" content="20"></noscript>` : null}
</head>
<body>
<a class="skip" href="#summary">Skip to the numbers</a>
<div id="page"${version === undefined ? null : html` data-version="${version}"`}>
<header>
<p class="kind">${kind}</p>
<h1>${name}</h1>
<p class="where">${where}${live ? html` · <span id="state" role="status">live</span>` : null}</p>
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
</header>
<main>
${sections.map(
  ({ id, title, content }) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${content}
</section>
`,
)}</main>
</div>
<div id="values" hidden></div>
<script>${new Html(script)}</script>
</body>
</html>
`;
  return text;
}

function sectionsOf(run: Run, figures: Figures, examples: PageOptions['examples']): Section[] {
  const last = run.evaluations.at(-1);
  const waiting = 'Waiting for the first line of metrics.jsonl.';
  const notEvaluated =
    'Not evaluated yet: evaluations run every SOLVER.EVAL_PERIOD epochs and after training, unless they are switched off.';
  const messages = messagesSection(run);
  return [
    summarySection(run),
    ...(messages ? [messages] : []),
    {
      id: 'losses',
      title: 'Loss',
      content: figures.loss.length
        ? html`${draw(figures.loss)}${termsHtml(figures.terms)}`
        : sentence(waiting),
    },
    {
      id: 'pace',
      title: 'Learning rate and pace',
      content: figures.pace.length ? draw(figures.pace) : sentence(waiting),
    },
    {
      id: 'evaluation',
      title: 'Evaluation',
      content: last
        ? html`${evaluationSentence(last)}${draw(figures.evaluation)}${classTable(last)}`
        : sentence(notEvaluated),
    },
    {
      id: 'precision-recall',
      title: 'Precision and recall',
      content: figures.precisionRecall.length
        ? html`<p>Classes with the most true boxes.</p>
${draw(figures.precisionRecall)}`
        : sentence(
            last
              ? `There are no curves in ${last.folder || 'the folder of the evaluation'}.`
              : 'Not evaluated yet.',
          ),
    },
    { id: 'examples', title: 'Examples', content: html`<div class="grid">${examplesHtml(examples)}</div>` },
    configSection(run.config),
    environmentSection(run),
  ];
}

function termsHtml(terms: readonly Figure[]): Html | null {
  if (terms.length === 0) return null;
  return html`<p class="lead">Terms of the loss, smoothed: <b class="last">last stage</b> of the decoder over <b class="earlier">earlier stages</b>, earlier ones fainter.</p>
${draw(terms)}`;
}

/** The figures in a grid. */
export function draw(figures: readonly Figure[]): Html {
  return html`<div class="grid">${figures.map(figureHtml)}</div>
`;
}

/** The text of a file that becomes part of the page. */
function asset(name: string): string {
  return readFileSync(new URL(`assets/${name}`, import.meta.url), 'utf8');
}
