/** @file Writes the report of a run: the page, and every curve as SVG and PNG. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ExampleFigure, examplePictures } from './example_pictures.js';
import { figuresOf, reportHtml } from './html.js';
import { figureSvg, svgToPng } from './picture.js';
import { checkIsRun, type Run, readRun } from './run_files.js';

export interface ReportOptions {
  /** Where the page goes; the default is `report/index.html` in the folder of the run. */
  readonly html?: string;
}

export interface WrittenReport {
  readonly html: string;
  /** By the name of the curve, such as `loss`: the files in `report/` in the folder of the run. */
  readonly curves: ReadonlyMap<string, { readonly svg: string; readonly png: string }>;
}

/** Writes the report of the run in `outputDir`. Throws DataError where there is none. */
export async function writeReport(outputDir: string, options: ReportOptions = {}): Promise<WrittenReport> {
  checkIsRun(outputDir);
  const run = readRun(outputDir);
  const figures = figuresOf(run);
  const folder = join(outputDir, 'report');
  const html = options.html ?? join(folder, 'index.html');
  await mkdir(folder, { recursive: true });
  await mkdir(dirname(html), { recursive: true });
  await writeFile(html, await reportHtml(run, { figures, examples: await examplesOf(run) }));

  const curves = new Map<string, { svg: string; png: string }>();
  for (const figure of Object.values(figures).flat()) {
    const files = { svg: join(folder, `${figure.name}.svg`), png: join(folder, `${figure.name}.png`) };
    const svg = await figureSvg(figure);
    await writeFile(files.svg, svg);
    await writeFile(files.png, await svgToPng(svg));
    curves.set(figure.name, files);
  }
  return { html, curves };
}

/** The examples of the last evaluation, or a sentence why there are none. */
export async function examplesOf(run: Run): Promise<ExampleFigure[] | string> {
  const last = run.evaluations.at(-1);
  return last ? examplePictures(run, last) : 'Not evaluated yet.';
}
