/** @file The page that compares runs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HtmlValidate } from 'html-validate';
import { beforeEach, describe, expect, it } from 'vitest';
import { evaluationLine, metricsLine, writeRunFolder } from '../../test/support/run_folder.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { ConfigError, DataError } from '../errors.js';
import { writeComparison } from './write.js';

const { at } = temporaryFiles();
let runs: [string, string];

beforeEach(() => {
  runs = [at('a'), at('b')];
  for (const [i, folder] of runs.entries()) {
    mkdirSync(folder);
    writeRunFolder(folder, { iterations: 60 + 60 * i });
  }
});

/** The text of the cells of each row of the table with a label. */
function rowsOf(page: string, label: string): string[][] {
  const table = page.slice(page.indexOf(`aria-label="${label}"><table`));
  const body = table.slice(table.indexOf('<tbody>'), table.indexOf('</tbody>'));
  return [...body.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell]) => cell),
  );
}

async function compare(): Promise<string> {
  const file = await writeComparison(runs);
  expect(file).toBe(join(runs[0], 'report', 'comparison.html'));
  return readFileSync(file, 'utf8');
}

describe('the comparison of runs', () => {
  it('draws the curves of all runs over each other, with their names', async () => {
    const page = await compare();
    const [figure] = /<figure [^>]*id="loss"[\s\S]*?<\/figure>/.exec(page)!;
    const [legend] = /<ul class="legend">.*<\/ul>/.exec(figure)!;
    expect(legend.replaceAll(/<svg.*?<\/svg>/g, '').match(/<li>\w+/g)).toEqual(['<li>a', '<li>b']);
    expect(new Set(legend.match(/var\(--\w+\)/g)).size).toBe(2);
    for (const id of ['loss_bce', 'learning_rate', 'step_time', 'memory'])
      expect(page).toContain(`id="${id}"`);
    const report = await new HtmlValidate({
      extends: ['html-validate:standard', 'html-validate:a11y'],
      rules: { 'long-title': 'off', 'no-inline-style': 'off' },
    }).validateString(page);
    expect(report.results.flatMap(({ messages }) => messages.map(({ message }) => message))).toEqual([]);
  });

  it('lists the settings that differ, evaluations side by side, and differences of classes', async () => {
    const file = join(runs[1], 'config.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/BASE_LR: .*/, 'BASE_LR: 0.125'));
    const classOf = (id: number, name: string, ap: number) => ({ id, name, ap, num_ground_truth: 3 });
    const evaluate = (run: string, iteration: number, mAP: number, classes: object[]) =>
      writeFileSync(
        join(run, 'evaluations.jsonl'),
        evaluationLine(iteration, [], { mAP, per_class: classes }),
      );
    evaluate(runs[0], 60, 0.5, [classOf(1, 'sit', 0.5), classOf(2, 'walk', 0.5)]);
    evaluate(runs[1], 120, 0.45, [classOf(1, 'sit', 0.6), classOf(2, 'walk', 0.3), classOf(3, '<b>', 0.1)]);
    const page = await compare();
    expect(rowsOf(page, 'Settings that differ')).toEqual([['SOLVER.BASE_LR', '0.0004', '0.125']]);
    expect(rowsOf(page, 'mAP by iteration')).toEqual([
      ['60', '0.5000', '–'],
      ['120', '–', '0.4500'],
    ]);
    expect(rowsOf(page, 'Average precision by class')).toEqual([
      ['walk', '2', '0.5000', '0.3000', '−0.2000'],
      ['sit', '1', '0.5000', '0.6000', '+0.1000'],
      ['&lt;b&gt;', '3', '–', '0.1000', '–'],
    ]);
  });

  it('compares runs of which parts are missing, and tells runs of one name apart', async () => {
    runs = [join(runs[0], 'same'), join(runs[1], 'same')];
    for (const run of runs) {
      mkdirSync(run);
      writeFileSync(join(run, 'metrics.jsonl'), metricsLine(1));
    }
    const page = await compare();
    expect(rowsOf(page, 'The runs').map(([name]) => name)).toEqual(['a/same', 'b/same']);
    for (const words of [
      'No run has been evaluated yet',
      'There is no config.yaml that this version can read in a/same',
    ])
      expect(page).toContain(words);
  });

  it('refuses a folder without a run, and a run that is named twice', async () => {
    await expect(writeComparison([runs[0], at('none')])).rejects.toThrow(DataError);
    await expect(writeComparison([runs[0], `${runs[0]}/`])).rejects.toThrow(ConfigError);
  });
});
