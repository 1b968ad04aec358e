/** @file The page and the figures of the report. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HtmlValidate } from 'html-validate';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  evaluationFolder,
  evaluationLine,
  metricsLine,
  writeRunFolder,
} from '../../test/support/run_folder.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { readRun } from '../run/read_run.js';
import type { Figure } from './curves.js';
import { figuresOf, reportHtml } from './html.js';
import { PNG_PEN } from './pen.js';
import { figurePng, figureSvg } from './picture.js';
import { examplesOf, writeReport } from './write.js';

const THREE = ['stand', 'walk', 'carry/hold (an object)'];
const SIXTY = [...THREE, ...Array.from({ length: 57 }, (_, i) => `class & number ${i}`)];
const HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">';

const { at } = temporaryFiles();
let folder: string;

beforeEach(() => {
  folder = at();
});

async function report(): Promise<string> {
  const run = readRun(folder);
  return reportHtml(run, { figures: figuresOf(run), examples: await examplesOf(run) });
}

/** Findings of the validator. */
async function problemsOf(page: string): Promise<string[]> {
  const validator = new HtmlValidate({
    extends: ['html-validate:standard', 'html-validate:a11y'],
    rules: { 'long-title': 'off', 'require-sri': 'off', 'tel-non-breaking': 'off', 'no-inline-style': 'off' },
  });
  const { results } = await validator.validateString(page);
  return results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line }) => `${line}: ${ruleId}: ${message}`),
  );
}

/** Addresses that a browser would load. Namespaces (xmlns) and addresses in text are not among them. */
function addresses(page: string): string[] {
  const attributes = [...page.matchAll(/\b(?:src|href|xlink:href|action|data|poster|srcset)="([^"]*)"/g)].map(
    ([, at]) => at,
  );
  const styles = [...page.matchAll(/url\(([^)]*)\)|@import[^;]*/g)].map(([text]) => text);
  return [...attributes, ...styles].filter((at) => !at.startsWith('#') && !at.startsWith('data:'));
}

describe('the page', () => {
  it.each([
    ['with 3 classes', { iterations: 600, names: THREE }],
    ['with 60 classes', { iterations: 600, names: SIXTY }],
    ['without an evaluation', { iterations: 40 }],
    ['without metrics', { iterations: 0 }],
  ])('is valid and loads nothing: %s', async (_, options) => {
    writeRunFolder(folder, options);
    const page = await report();
    expect(await problemsOf(page)).toEqual([]);
    expect(addresses(page)).toEqual([]);
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has every section', async () => {
    writeRunFolder(folder, { iterations: 600, names: SIXTY });
    const page = await report();
    for (const id of [
      'loss',
      'loss_bce',
      'learning_rate',
      'step_time',
      'memory',
      'map',
      'class_ap_best',
      'class_ap_worst',
      'precision_recall_8',
    ]) {
      expect(page).toContain(`id="${id}"`);
    }
    expect(page).toContain('All 60 classes');
    expect(page).toContain('vtest_val, second 902');
    expect(page.match(/<img src="data:image\/webp;base64,/g)).toHaveLength(8);
    expect(page).toContain('<code>SOLVER.VIDEOS_PER_BATCH</code>');
    expect(page).toContain('Example CPU @ 2.50GHz');
    expect(page.length).toBeLessThan(2_000_000);
  });

  it('reports which parts of a run are missing', async () => {
    writeFileSync(join(folder, 'metrics.jsonl'), metricsLine(1));
    const page = await report();
    expect(await problemsOf(page)).toEqual([]);
    for (const words of ['Not evaluated yet', 'There is no config.yaml', 'There is no environment.json']) {
      expect(page).toContain(words);
    }
    writeFileSync(join(folder, 'evaluations.jsonl'), evaluationLine(1, THREE, { folder: '../elsewhere' }));
    expect(await report()).toContain('No examples');
  });

  it('reports that the test data cannot be read', async () => {
    writeRunFolder(folder, { iterations: 60, names: THREE });
    const file = join(folder, 'config.yaml');
    const text = readFileSync(file, 'utf8').replace(
      /PATH_TO_DATA_DIR: .*/,
      'PATH_TO_DATA_DIR: "no/such/folder"',
    );
    writeFileSync(file, text);
    expect(await report()).toMatch(
      /No examples: the test data cannot be read from here \(.*no\/such\/folder/,
    );
  });

  it('has distinct whole numbers at the axis of a single evaluation, and says that an AP is 0', async () => {
    const names = ['stand', '行走'];
    const perClass = names.map((name, i) => ({ id: 12 + i, name, ap: 0, num_ground_truth: 4 }));
    writeFileSync(join(folder, 'metrics.jsonl'), metricsLine(75));
    writeFileSync(join(folder, 'evaluations.jsonl'), evaluationLine(75, [], { mAP: 0, per_class: perClass }));
    const files = join(folder, evaluationFolder(75));
    mkdirSync(files, { recursive: true });
    const curve = { precision: [0], recall: [0] };
    writeFileSync(
      join(files, 'precision_recall.json'),
      JSON.stringify({ 12: { name: names[0], ...curve }, 13: { name: names[1], ...curve } }),
    );
    const page = await report();
    const plot = /<svg class="wide"[\s\S]*?<\/svg>/.exec(page.slice(page.indexOf('id="map"')))![0];
    const numbers = [...plot.matchAll(/text-anchor="(?:middle|start|end)">([\d,]+)<\/text>/g)].map(
      ([, text]) => text,
    );
    expect(numbers.filter((text) => Number(text) > 1)).toEqual(['74', '75', '76']);
    expect(page).toContain('no detection');
    const svgs = page
      .match(/<svg[\s\S]*?<\/svg>/g)!
      .join('')
      .replaceAll(/aria-label="[^"]*"/g, '');
    expect(svgs).not.toContain('行');
    expect(svgs).toContain('>#13<');
    const warnings: string[] = [];
    await writeReport(folder, { warn: (text) => warnings.push(text) });
    expect(warnings).toEqual([expect.stringMatching(/"行走": images show #13 instead; .* --font FILE/)]);
    expect(readFileSync(join(folder, 'report', 'precision_recall_2.svg'), 'utf8')).not.toMatch(
      />行走<\/text>/,
    );
  });

  it('says what the loss in the summary is: the last point of the curve', async () => {
    const lines = [
      metricsLine(1, { loss: 5, loss_average: 5 }),
      metricsLine(10, { loss: 3, loss_average: 3.5 }),
      metricsLine(20, { loss: 1.314, loss_average: 1.5 }),
    ];
    writeFileSync(join(folder, 'metrics.jsonl'), lines.join(''));
    expect(await report()).toContain(
      '<strong>1.500</strong><span>mean of iterations 11 to 20; 1.314 in the last one; 5.000 at iteration 1</span>',
    );
  });

  it('shows hostile names and settings as text', async () => {
    writeRunFolder(folder, { iterations: 60, names: [HOSTILE, 'walk'] });
    const config = readFileSync(join(folder, 'config.yaml'), 'utf8');
    writeFileSync(
      join(folder, 'config.yaml'),
      config.replace(/WEIGHT: ""/, `WEIGHT: ${JSON.stringify(HOSTILE)}`),
    );
    writeFileSync(
      join(folder, 'environment.json'),
      JSON.stringify({ cpu: HOSTILE, command: [HOSTILE], engine: { notes: [HOSTILE] } }),
    );
    writeFileSync(join(folder, 'log.jsonl'), `${JSON.stringify({ level: 40, time: 1, msg: HOSTILE })}\n`);
    writeFileSync(join(folder, 'metrics.jsonl'), metricsLine(60, { losses: { [HOSTILE]: 1, '"><b_0': 1 } }));
    const page = await report();
    expect(await problemsOf(page)).toEqual([]);
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toMatch(/<img src=x|<b_0/);
    expect(page).toContain('&lt;img src=x onerror=');
  });
});

describe('the figures', () => {
  it('are written beside the page as SVG and PNG, with fixed colours', async () => {
    writeRunFolder(folder, { iterations: 600, names: THREE });
    const { curves } = await writeReport(folder, { html: join(folder, 'elsewhere', 'page.html') });
    expect([...curves.keys()]).toEqual([
      'loss',
      'loss_bce',
      'loss_ce',
      'loss_giou',
      'loss_bbox',
      'learning_rate',
      'step_time',
      'memory',
      'map',
      'class_ap',
      'precision_recall_1',
      'precision_recall_2',
      'precision_recall_3',
    ]);
    for (const { svg, png } of curves.values()) {
      const text = readFileSync(svg, 'utf8');
      expect(text).not.toContain('var(');
      const { width, height, format } = await sharp(png).metadata();
      expect(format).toBe('png');
      const [, w, h] = /viewBox="0 0 (\d+) (\d+)"/.exec(text)!;
      expect([width, height]).toEqual([2 * Number(w), 2 * Number(h)]);
    }
    expect(readFileSync(join(folder, 'elsewhere', 'page.html'), 'utf8')).toContain('<title>');
  });

  it('are drawn without fonts of the machine', async () => {
    const figure: Figure = {
      name: 'x',
      title: 'A <title> & more',
      note: '',
      share: 'half',
      plot: { kind: 'bars', bars: [{ name: '"quoted"', value: 0.5, note: '' }], colour: 'blue' },
    };
    expect(figureSvg(figure)).toContain('A &lt;title&gt; &amp; more');
    expect(figureSvg(figure, PNG_PEN)).not.toContain('<text');
    const { data, info } = await sharp(await figurePng(figure))
      .greyscale()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const heading = data.subarray(0, info.width * 90);
    expect(heading.filter((value) => value < 100).length).toBeGreaterThan(500);
  });
});
