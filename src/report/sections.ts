/** @file The sections of the page that consist of text and tables. */
import { configLines } from '../config/dump.js';
import { type Config, defaultConfig } from '../config/index.js';
import type { RunConfig } from '../run/config.js';
import type { Evaluation } from '../run/evaluations.js';
import type { Run } from '../run/read_run.js';
import { isObject, type Json } from '../util/json.js';
import { count, duration, gib } from '../util/text.js';
import { rankedClasses } from './curves.js';
import type { EmbeddedPicture, ExampleFigure } from './example_pictures.js';
import { type Html, html } from './markup.js';
import { headlines } from './summary.js';

/** A section of the page with its heading. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: Html;
}

export function sentence(text: string): Html {
  return html`<p class="empty">${text}</p>
`;
}

export function summarySection(run: Run): Section {
  const tiles = headlines(run).map(
    ({
      label,
      value,
      note,
      progress,
    }) => html`<div class="tile"><dt>${label}</dt><dd><strong>${value}</strong>${
      progress === undefined
        ? null
        : html`<progress max="1" value="${progress}" aria-label="Part of the iterations done"></progress>`
    }<span>${note}</span></dd></div>
`,
  );
  return { id: 'summary', title: 'Summary', content: html`<dl class="tiles">${tiles}</dl>` };
}

/** A table of all classes of an evaluation. */
export function classTable(evaluation: Evaluation): Html {
  const ranks = new Map(rankedClasses(evaluation.perClass).map(({ id }, i) => [id, i]));
  const rankOf = ({ id }: { id: number }) => ranks.get(id) ?? ranks.size;
  const rows = [...evaluation.perClass]
    .sort((a, b) => rankOf(a) - rankOf(b))
    .map(
      ({ id, name, ap, groundTruth }) =>
        html`<tr><th scope="row">${name}</th><td>${id}</td><td>${ap === null ? '–' : ap.toFixed(4)}</td><td>${count(groundTruth)}</td></tr>
`,
    );
  return html`<details class="card"><summary>All ${rows.length} classes</summary><div class="scroll" tabindex="0" role="group" aria-label="All classes"><table>
<thead><tr><th scope="col">class</th><th scope="col">id</th><th scope="col">AP</th><th scope="col">true boxes</th></tr></thead>
<tbody>${rows}</tbody></table></div></details>
`;
}

/** A sentence about the evaluation: iteration, number of clips, time, and result. */
export function evaluationSentence({ iteration, clips, seconds, mAP }: Evaluation): Html {
  const amount = clips === null ? '' : ` on ${count(clips)} clips`;
  const took = seconds === null ? '' : ` in ${duration(seconds)}`;
  const result = mAP === null ? 'no class has true boxes' : `mAP ${mAP.toFixed(4)}`;
  return html`<p>The latest evaluation, after iteration ${count(iteration)}${amount}${took}: ${result}.</p>
`;
}

export function examplesHtml(examples: readonly ExampleFigure[] | string): Html {
  if (typeof examples === 'string') return sentence(examples);
  const picture = ({ uri, width, height, alt }: EmbeddedPicture, title: string) =>
    html`<div><h4>${title}</h4><img src="${uri}" width="${width}" height="${height}" alt="${title}. ${alt}"></div>`;
  return html`${examples.map(
    ({
      caption,
      truth,
      found,
    }) => html`<figure class="card example"><figcaption><h3>${caption}</h3></figcaption>
<div class="pair">${picture(truth, 'True')}${picture(found, 'Found')}</div></figure>
`,
  )}`;
}

export function configSection(config: RunConfig | null): Section {
  const section = (content: Html) => ({ id: 'configuration', title: 'Configuration', content });
  if (config === null) return section(sentence('There is no config.yaml in this folder.'));
  const whole = html`<details class="card"><summary>The whole config.yaml</summary><pre tabindex="0" role="group" aria-label="config.yaml">${config.text}</pre></details>
`;
  if (config.config === null) {
    return section(html`${sentence(`This version cannot read config.yaml: ${config.problem}`)}${whole}`);
  }
  const rows = changedSettings(config.config).map(
    ({
      key,
      value,
      usual,
    }) => html`<tr><th scope="row"><code>${key}</code></th><td><code>${value}</code></td><td><span class="unseen">default </span><code>${usual}</code></td></tr>
`,
  );
  return section(html`<p>${rows.length} settings differ from the defaults.</p>
<div class="card scroll" tabindex="0" role="group" aria-label="Settings that differ from the defaults"><table class="words">
<thead><tr><th scope="col">setting</th><th scope="col">value</th><th scope="col">default</th></tr></thead>
<tbody>${rows}</tbody></table></div>
${whole}`);
}

/** The settings that differ from the defaults, as YAML writes them. */
export function changedSettings(config: Config): { key: string; value: string; usual: string }[] {
  const usual = settingsOf(defaultConfig());
  return [...settingsOf(config)].flatMap(([key, value]) =>
    value === usual.get(key) ? [] : [{ key, value, usual: usual.get(key) ?? '' }],
  );
}

/** Keys of settings → their values, as YAML writes them. */
export function settingsOf(config: Config): Map<string, string> {
  return new Map(
    configLines(config).flatMap(({ key, text }) =>
      key === undefined ? [] : [[key, text.slice(text.indexOf(': ') + 2)] as const],
    ),
  );
}

export function environmentSection({ environment, engine }: Run): Section {
  const section = (content: Html) => ({ id: 'environment', title: 'Environment', content });
  const rows = environment === null ? [] : environmentRows(environment);
  if (rows.length === 0) {
    const known = engine === null ? '' : ` From the log: ${engine}.`;
    return section(
      sentence(`There is no environment.json in this folder, as in runs of earlier versions.${known}`),
    );
  }
  return section(
    html`<dl class="card facts">${rows.map(
      ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
    )}</dl>`,
  );
}

const ENVIRONMENT_LABELS: Record<string, string> = {
  started: 'Started',
  command: 'Command line',
  version: 'stmixer',
  node: 'Node',
  platform: 'Platform',
  cpu: 'CPU',
  cores: 'Cores',
  memory_bytes: 'Memory',
  processes: 'Processes',
};

function environmentRows(environment: Json): [string, Html | string][] {
  const rows = Object.entries(ENVIRONMENT_LABELS).flatMap(([key, label]): [string, Html | string][] => {
    const value = environment[key];
    if (value === undefined || value === null) return [];
    if (key === 'command')
      return [
        [label, html`<code>${Array.isArray(value) ? value.map(String).join(' ') : String(value)}</code>`],
      ];
    if (key === 'memory_bytes' && typeof value === 'number') return [[label, gib(value)]];
    return [[label, String(value)]];
  });
  const engine = environment.engine;
  if (isObject(engine)) {
    rows.push(['Engine', String(engine.description ?? engine.engine ?? '')]);
    if (isObject(engine.gpu)) {
      const { name, computeCapability, driver } = engine.gpu;
      const capability = computeCapability === undefined ? '' : `, compute capability ${computeCapability}`;
      rows.push(['GPU', `${name}${capability}, driver ${driver}`]);
    }
    if (Array.isArray(engine.notes)) for (const note of engine.notes) rows.push(['Note', String(note)]);
  }
  return rows;
}

/** Warnings of the run, and notes on files that could not be read; null if there are none. */
export function messagesSection({ messages, notes }: Run): Section | null {
  if (messages.length + notes.length === 0) return null;
  const items = [
    ...notes.map(
      (note) => html`<li>${note}</li>
`,
    ),
    ...messages.map(
      ({
        time,
        text,
      }) => html`<li>${time === null ? null : html`<time datetime="${new Date(time).toISOString()}">${moment(time)}</time> `}${text}</li>
`,
    ),
  ];
  return { id: 'messages', title: 'Warnings', content: html`<ul class="card messages">${items}</ul>` };
}

/** Date and time in the time zone of this machine. */
export function moment(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (n: number) => String(n).padStart(2, '0');
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}`
  );
}
