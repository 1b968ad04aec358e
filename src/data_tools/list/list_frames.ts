/** @file `stmixer data list`: frame lists of folders with frames that exist already. */
import { existsSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { UserError } from '../../errors.js';
import { makeOutputFolder } from '../../files/output_paths.js';
import type { Log } from '../../util/log.js';
import { countOf, shellWord } from '../../util/text.js';
import { writeFrameList } from '../prepare/write_frame_list.js';
import { type SplitOptions, valVideosOf } from '../split.js';
import { type FrameVideo, findFrameVideos } from './frame_folders.js';

export interface ListOptions extends SplitOptions {
  /** Folder of the folders of frames. */
  readonly frames: string;
  /** The data set's folder; lists are written into its frame_lists/. */
  readonly out: string;
  /** Frames per second that the frames were extracted with. */
  readonly fps?: number;
  /** Whether lists that exist and differ are replaced. */
  readonly overwrite?: boolean;
  readonly log: Log;
}

export interface ListResult {
  /** Name of a list, without `.csv` → number of its videos. */
  readonly lists: ReadonlyMap<string, number>;
}

const DEFAULT_FPS = 30;
/** Folders that divide a data set. */
const SPLITS: Record<string, string> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
};

/** Writes frame lists, and reports problems of the frames and the settings to use them. Throws UserError. */
export async function listFrameFolders(options: ListOptions): Promise<ListResult> {
  const { log } = options;
  const { root, videos, warnings } = await findFrameVideos(options.frames, options.fps ?? DEFAULT_FPS);
  for (const warning of warnings) log.warn(warning);
  describe(videos, log);
  const lists = divide(videos, options);
  makeOutputFolder(options.out, '--out');
  const files = [...lists].map(([name, listed]) => {
    const file = join(options.out, 'frame_lists', `${name}.csv`);
    return { file, listed, paths: listed.map((video) => toListed(root, video)) };
  });
  if (!options.overwrite) refuseToReplace(files.map(({ file }) => file));
  for (const { file, listed, paths } of files) {
    writeFrameList(file, paths);
    const frames = listed.reduce((sum, { names }) => sum + names.length, 0);
    log.info(`${file}: ${countOf(listed.length, 'video')}, ${countOf(frames, 'frame')}`);
  }
  for (const line of settings(options, root, { videos, names: [...lists.keys()] })) log.info(line);
  return { lists: new Map([...lists].map(([name, listed]) => [name, listed.length])) };
}

/** The rows of a video: paths relative to the folder of the frames, with slashes. */
export function toListed(
  root: string,
  { name, folder, names }: FrameVideo,
): { name: string; paths: string[] } {
  const prefix = relative(resolve(root), resolve(folder)).split(sep).join('/');
  return { name, paths: names.map((file) => `${prefix}/${file}`) };
}

function describe(videos: readonly FrameVideo[], log: Log): void {
  for (const { folder, names, firstNumber, notes, warnings, skipped } of videos) {
    if (firstNumber !== null && firstNumber > 1)
      log.info(
        `note: ${folder}: the first frame is ${names[0]}, which is taken for the beginning of the video`,
      );
    for (const warning of warnings) log.warn(`${folder}: ${warning}`);
    for (const note of notes) log.info(`note: ${folder}: ${note}`);
    const others = skipped.describe().filter((text) => !/^(hidden|\d[\d,]* (hidden|folders?) )/.test(text));
    if (others.length > 0) log.info(`note: not frames, and in no list: ${others.join(', ')}`);
  }
}

/** Name of a list → its videos: by the options, else by folders named train, val and test, else one list. */
function divide(videos: readonly FrameVideo[], options: ListOptions): Map<string, FrameVideo[]> {
  const names = videos.map(({ name }) => name);
  const val = valVideosOf(names, options);
  const isDivided = videos.every(
    ({ topFolder, folder }) =>
      topFolder !== null && isSplit(topFolder) && folder !== join(options.frames, topFolder),
  );
  const listOf = ({ name, topFolder }: FrameVideo) => {
    if (val) return val.has(name) ? 'val' : 'train';
    return isDivided ? SPLITS[topFolder!.toLowerCase()] : 'all';
  };
  const lists = new Map<string, FrameVideo[]>();
  for (const video of videos) lists.set(listOf(video), [...(lists.get(listOf(video)) ?? []), video]);
  return new Map([...lists].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isSplit(folder: string): boolean {
  return Object.hasOwn(SPLITS, folder.toLowerCase());
}

function refuseToReplace(files: readonly string[]): void {
  const existing = files.find((file) => existsSync(file));
  if (existing === undefined) return;
  throw new UserError(
    `${existing}: exists already; move it away, choose another --out, or replace it with --overwrite`,
  );
}

function settings(
  { out, fps }: ListOptions,
  root: string,
  { videos, names }: { videos: readonly FrameVideo[]; names: readonly string[] },
): string[] {
  const frameFolder = relative(resolve(out), resolve(root)).split(sep).join('/');
  const noted = videos[0].fps;
  const rate = fps ?? noted ?? DEFAULT_FPS;
  const list = (candidates: readonly string[]) => candidates.find((name) => names.includes(name)) ?? names[0];
  const found = [
    `DATA.PATH_TO_DATA_DIR ${shellWord(out)}`,
    ...(frameFolder === 'frames'
      ? []
      : [`AVA.FRAME_DIR ${shellWord(frameFolder.startsWith('..') ? resolve(root) : frameFolder || '.')}`]),
    `AVA.TRAIN_LISTS "['${list(['train', 'all'])}.csv']"`,
    `AVA.TEST_LISTS "['${list(['val', 'test', 'all'])}.csv']"`,
    `AVA.FPS ${rate}`,
    `AVA.FIRST_SECOND ${videos[0].start ?? 0}`,
  ];
  const guess =
    fps === undefined && noted === null
      ? ' AVA.FPS must be the rate at which the frames were extracted. The rate of these frames is not known, so 30 is assumed; add --fps if it was another.'
      : '';
  return [
    '',
    `Settings for these frames: ${found.join(' ')}`,
    `The first frame of each video is second ${videos[0].start ?? 0} of the annotations.${guess}`,
  ];
}
