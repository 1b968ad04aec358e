/** @file `stmixer data import`: annotations of other programs as AVA's csv, label map and frame lists. */
import { join } from 'node:path';
import { readLabelMap } from '../../data/datasets/label_map.js';
import { isInRange, timeBaseOf } from '../../data/time.js';
import { DataError } from '../../errors.js';
import { makeOutputFolder } from '../../files/output_paths.js';
import { countOf, printable } from '../../util/text.js';
import { ANNOTATION_FOLDER, EXCLUDED, LABEL_MAP, labelMapText } from '../annotation_folder.js';
import { type ActionRule, chooseActions } from './actions.js';
import { FactFinder } from './facts.js';
import { readAnnotationFile } from './formats.js';
import type { Imported } from './model.js';
import type { ImportedVideoBoxes, ImportOptions } from './options.js';
import { personBoxes, rowsOf } from './rows.js';
import { sampleVideo } from './samples.js';
import { settingsFor } from './settings.js';
import { splitOf, writeLists } from './splitting.js';
import { writeFiles } from './write_files.js';

/** Reads the files and writes the data set's annotations. Throws UserError. */
export async function importAnnotations(options: ImportOptions): Promise<void> {
  const { log, out } = options;
  const videos = new Map<string, ImportedVideoBoxes>();
  const names: string[] = [];
  for (const file of options.files) {
    const { imported, rule } = open(file, options);
    for (const name of rule.names) if (!names.includes(name)) names.push(name);
    await addBoxes(videos, { file, imported, rule }, options);
    for (const line of imported.losses.describe()) log.info(`note: ${printable(line)}`);
  }
  const listed = [...videos.values()].filter(({ boxes }) => boxes.length > 0);
  if (listed.length === 0)
    throw new DataError(`${options.files.join(', ')}: nothing is left to import; the notes above say why`);
  const labels = labelsFor(names, options.labelMap);
  makeOutputFolder(out, '--out');
  const split = splitOf(
    listed.map(({ name }) => name),
    options,
  );
  const idOf = new Map(labels.map(({ name, id }) => [name, id]));
  const files = new Map<string, string>([
    [LABEL_MAP, labelMapText(labels)],
    [EXCLUDED, ''],
  ]);
  for (const [list, members] of split) {
    const own = listed.filter(({ name }) => members.has(name));
    files.set(`${list}.csv`, own.map(({ name, boxes }) => rowsOf(name, boxes, idOf)).join(''));
  }
  writeFiles(join(out, ANNOTATION_FOLDER), files, options.overwrite ?? false);
  describe(listed, split, options);
  warnOfUnused(listed, options);
  await writeLists(
    listed.map(({ name }) => name),
    split,
    options,
  );
  for (const line of settingsFor(listed, { split, labels, options })) log.info(line);
}

/** Reads a file, and says what it is and where its actions are. */
function open(file: string, options: ImportOptions): { imported: Imported; rule: ActionRule } {
  const { imported, title } = readAnnotationFile(file, options.format);
  if (imported.tracks.length === 0) {
    const why = imported.losses.describe().map((line) => `\n  ${line}`);
    throw new DataError(
      `${file}: the ${title} has no boxes${why.length > 0 ? ':' : '; draw boxes around people first'}${why.join('')}`,
    );
  }
  let rule: ActionRule;
  try {
    rule = chooseActions(imported, options);
  } catch (error) {
    throw error instanceof DataError ? new DataError(`${file}: ${error.message}`, { cause: error }) : error;
  }
  options.log.info(
    printable(`${file}: ${title}, ${countOf(imported.videos.length, 'video')}; ${rule.description}`),
  );
  return { imported, rule };
}

async function addBoxes(
  videos: Map<string, ImportedVideoBoxes>,
  { file, imported, rule }: { file: string; imported: Imported; rule: ActionRule },
  options: ImportOptions,
): Promise<void> {
  if (options.video !== undefined && imported.videos.length > 1) {
    throw new DataError(
      `${file}: --video names one video, but the file is about ${imported.videos.length}: ${imported.videos.map(({ name }) => name).join(', ')}`,
    );
  }
  const finder = new FactFinder(file, options);
  for (const own of imported.videos) {
    const known = await finder.find(imported, own);
    for (const note of known.notes) options.log.info(`note: ${note}`);
    if (!own.isNamed && options.video === undefined) {
      options.log.warn(
        `${file}: the file does not name its video, which is called ${own.name} here; add --video with its name in the frame lists`,
      );
    }
    const samples = sampleVideo(imported, own, known.facts, options.step ?? null);
    const start = known.note?.start ?? 0;
    const first = options.firstSecond ?? start;
    // Times in a video count from its beginning, and numbers of frames from the first frame on the disk.
    const shift = own.isVideo ? first - start : first;
    const inFrames = samples.filter(({ time, track }) => {
      if (time + shift >= first - 1e-6) return true;
      imported.losses.add('left', track.where, 'box before the first frame', 'boxes before the first frame');
      return false;
    });
    const boxes = personBoxes(inFrames, rule, { secondOf: (time) => time + shift, losses: imported.losses });
    const name = options.video ?? own.name;
    const before = videos.get(name);
    if (before) before.boxes.push(...boxes);
    else videos.set(name, { name, known, boxes });
  }
}

/** The classes: those of a label map, or the actions in the order in which the files name them. */
function labelsFor(names: readonly string[], labelMap: string | undefined): { id: number; name: string }[] {
  if (labelMap === undefined) return names.map((name, i) => ({ id: i + 1, name }));
  const labels = readLabelMap(labelMap);
  const plain = (name: string) =>
    name
      .toLowerCase()
      .replace(/[\s_-]+/g, ' ')
      .trim();
  const found = names.map((name) => {
    const label =
      labels.find((one) => one.name === name) ?? labels.find((one) => plain(one.name) === plain(name));
    return { name, id: label?.id };
  });
  const missing = found.filter(({ id }) => id === undefined).map(({ name }) => name);
  if (missing.length > 0) {
    throw new DataError(
      `${labelMap}: the label map has no class ${missing.join(', ')}; add ${missing.length === 1 ? 'it' : 'them'}, or leave out --label-map`,
    );
  }
  const others = labels.filter(({ id }) => !found.some((one) => one.id === id));
  return [...found.map(({ name, id }) => ({ id: id!, name })), ...others].sort((a, b) => a.id - b.id);
}

/** Warns of key frames that AVA's time base does not use. */
function warnOfUnused(videos: readonly ImportedVideoBoxes[], { firstSecond, log }: ImportOptions): void {
  const first = firstSecond ?? videos[0].known.note?.start ?? 0;
  const base = timeBaseOf({ FIRST_SECOND: first, LAST_SECOND: Number.POSITIVE_INFINITY, FPS: 1 });
  const unused = videos.flatMap(({ boxes }) => boxes.filter(({ second }) => !isInRange(second, base)));
  if (unused.length === 0) return;
  log.warn(
    `${countOf(unused.length, 'box', 'boxes')} before second ${base.firstKeyFrame} will not be used: as in AVA, the first two seconds have no key ` +
      `frames with AVA.FIRST_SECOND ${first}`,
  );
}

function describe(
  videos: readonly ImportedVideoBoxes[],
  split: ReadonlyMap<string, ReadonlySet<string>>,
  { out, log }: ImportOptions,
): void {
  for (const [list, members] of split) {
    const own = videos.filter(({ name }) => members.has(name));
    const boxes = own.flatMap((video) => video.boxes);
    const keyFrames = own.reduce(
      (sum, video) => sum + new Set(video.boxes.map(({ second }) => second)).size,
      0,
    );
    const idle = boxes.filter(({ actions }) => actions.size === 0).length;
    log.info(
      `${join(out, ANNOTATION_FOLDER, `${list}.csv`)}: ${countOf(own.length, 'video')}, ${countOf(keyFrames, 'key frame')}, ` +
        `${countOf(boxes.length, 'box', 'boxes')}${idle > 0 ? `, ${idle} of them without an action` : ''}`,
    );
  }
}
