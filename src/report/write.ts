/** @file Writes the report of a run: the page, and every figure as SVG and PNG. */
import { writeFile } from 'node:fs/promises';
import { dirname, join, parse, resolve } from 'node:path';
import { setUserFont } from '../drawing/fonts.js';
import { undrawnNamesHint } from '../drawing/names.js';
import { ConfigError } from '../errors.js';
import { commandLock, FolderLock } from '../files/folder_lock.js';
import { checkOutputFile, makeOutputFolder } from '../files/output_paths.js';
import { checkIsRun, type Run, readRun } from '../run/read_run.js';
import { REPORT_FOLDER } from '../run/run_folder.js';
import { comparisonHtml } from './comparison.js';
import { type ExampleFigure, examplePictures } from './example_pictures.js';
import { figuresOf, reportHtml } from './html.js';
import { figurePng, figureSvg } from './picture.js';

export interface ReportOptions {
  /** File of the page, with the curves in a folder beside it; `report/index.html` in the folder of the run without it. */
  readonly html?: string;
  /** Font file for characters that the package's fonts lack. */
  readonly font?: string;
  /** Receives a sentence about names that no font can draw. */
  readonly warn?: (message: string) => void;
  /** Receives the reason if the folder may be in use and the report has to wait. */
  readonly wait?: (message: string) => void;
}

/**
 * Writes one page that compares the runs: `report/comparison.html` in the folder of the first one, or the file `html`.
 * Returns its path. Throws DataError if there is no run in one of the folders, ConfigError if the page cannot be written.
 */
export async function writeComparison(
  folders: readonly string[],
  options: ReportOptions = {},
): Promise<string> {
  setUserFont(options.font);
  for (const folder of folders) checkIsRun(folder);
  const twice = folders.find((folder, i) =>
    folders.slice(0, i).some((other) => resolve(other) === resolve(folder)),
  );
  if (twice !== undefined)
    throw new ConfigError(`${twice}: this run is named twice; a comparison needs different runs`);
  const html = options.html ?? join(folders[0], REPORT_FOLDER, 'comparison.html');
  if (options.html === undefined) makeOutputFolder(dirname(html), 'report (--out writes it elsewhere)');
  else checkOutputFile(html, '--out');
  await writeFile(html, comparisonHtml(folders.map(readRun)));
  return html;
}

export interface WrittenReport {
  readonly html: string;
  /** Folder of the curves. */
  readonly folder: string;
  /** Files by the name of the curve, such as `loss`. */
  readonly curves: ReadonlyMap<string, { readonly svg: string; readonly png: string }>;
}

/**
 * Writes the report of the run in `outputDir`; with `html`, nothing is written into that folder. Throws DataError if there is no
 * run, ConfigError if the report cannot be written.
 */
export async function writeReport(outputDir: string, options: ReportOptions = {}): Promise<WrittenReport> {
  setUserFont(options.font);
  checkIsRun(outputDir);
  const paths = outputPaths(outputDir, options);
  const lock = await FolderLock.acquire(paths.folder, commandLock('report'), { wait: options.wait });
  try {
    return await writeFiles(outputDir, paths, options.warn);
  } finally {
    lock.release();
  }
}

async function writeFiles(
  outputDir: string,
  { html, folder }: OutputPaths,
  warn: ReportOptions['warn'],
): Promise<WrittenReport> {
  const run = readRun(outputDir);
  const undrawn = undrawnClasses(run);
  if (undrawn !== null) warn?.(undrawn);
  const figures = figuresOf(run);
  await writeFile(html, reportHtml(run, { figures, examples: await examplesOf(run) }));

  const curves = new Map<string, { svg: string; png: string }>();
  for (const figure of Object.values(figures).flat()) {
    const files = { svg: join(folder, `${figure.name}.svg`), png: join(folder, `${figure.name}.png`) };
    await writeFile(files.svg, figureSvg(figure));
    await writeFile(files.png, await figurePng(figure));
    curves.set(figure.name, files);
  }
  return { html, folder, curves };
}

/** A sentence about classes of the last evaluation whose names no font can draw; null if there are none. */
export function undrawnClasses({ evaluations }: Run): string | null {
  const classes = evaluations.at(-1)?.perClass ?? [];
  return undrawnNamesHint(classes.map(({ id, name }) => [id, name]));
}

type OutputPaths = Pick<WrittenReport, 'html' | 'folder'>;

/** Makes the folders that the files go to. */
function outputPaths(outputDir: string, { html }: ReportOptions): OutputPaths {
  if (html === undefined) {
    const folder = join(outputDir, REPORT_FOLDER);
    makeOutputFolder(folder, 'report (--out writes it elsewhere)');
    return { html: join(folder, 'index.html'), folder };
  }
  checkOutputFile(html, '--out');
  const folder = join(dirname(html), `${parse(html).name}_curves`);
  makeOutputFolder(folder, '--out');
  return { html, folder };
}

/** Examples of the last evaluation, or a sentence that says why there are none. */
export async function examplesOf(run: Run): Promise<ExampleFigure[] | string> {
  const last = run.evaluations.at(-1);
  return last ? examplePictures(run, last) : 'Not evaluated yet.';
}
