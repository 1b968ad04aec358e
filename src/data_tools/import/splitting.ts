/** @file Which videos go into which list, and the frame lists of an import. */
import { join } from 'node:path';
import { isFolder } from '../../files/paths.js';
import type { Log } from '../../util/log.js';
import { readText } from '../../util/read_text.js';
import { countOf, firstNames } from '../../util/text.js';
import { findFrameVideos } from '../list/frame_folders.js';
import { toListed } from '../list/list_frames.js';
import { writeFrameList } from '../prepare/write_frame_list.js';
import { type SplitOptions, valVideosOf } from '../split.js';

/** Name of a list → names of its videos. */
export type Split = Map<string, ReadonlySet<string>>;

interface Options extends SplitOptions {
  readonly out: string;
  readonly fps?: number;
  readonly log: Log;
}

const LISTS = ['train', 'val'];
const ALL_LISTS = [...LISTS, 'all'];

/** Divides videos by the options; else as the frame lists of the data set do; else not at all. */
export function splitOf(names: readonly string[], options: Options): Split {
  const val = valVideosOf(names, options);
  if (val) {
    const train = names.filter((name) => !val.has(name));
    return new Map([
      ['train', new Set(train)],
      ['val', val],
    ]);
  }
  const lists = LISTS.map((list) => [list, videosIn(listPath(options.out, list))] as const);
  const isDivided = lists.every(([, videos]) => names.some((name) => videos.has(name)));
  if (!isDivided) return new Map([['all', new Set(names)]]);
  const rest = names.filter((name) => !lists.some(([, videos]) => videos.has(name)));
  for (const name of rest) options.log.warn(`${name} is in no frame list; its annotations go into train.csv`);
  return new Map(
    lists.map(([list, videos]) => [
      list,
      new Set(names.filter((name) => videos.has(name) || (list === 'train' && rest.includes(name)))),
    ]),
  );
}

function listPath(out: string, list: string): string {
  return join(out, 'frame_lists', `${list}.csv`);
}

function videosIn(list: string): Set<string> {
  const lines = (readText(list) ?? '').split(/\r?\n/).slice(1);
  return new Set(lines.filter((line) => line !== '').map((line) => line.split(' ', 1)[0]));
}

/** Name of the frame list of the data set that has a video; null if there is none. */
export function listOf(out: string, name: string): string | null {
  return ALL_LISTS.find((list) => videosIn(listPath(out, list)).has(name)) ?? null;
}

/** Writes a frame list for each part whose frames are there, unless a list of that name has its videos already. */
export async function writeLists(names: readonly string[], split: Split, options: Options): Promise<void> {
  const { out, log } = options;
  const folder = join(out, 'frames');
  const withoutFolder = names.filter((name) => !isFolder(join(folder, name)));
  const listed = withoutFolder.length === 0 ? [] : ALL_LISTS.map((list) => videosIn(listPath(out, list)));
  const missing = withoutFolder.filter((name) => !listed.some((videos) => videos.has(name)));
  if (missing.length > 0) {
    log.info(
      `note: there are no frames of ${firstNames(missing)} in ${folder}; make them with ` +
        'stmixer data prepare, or list those that you have with stmixer data list',
    );
  }
  if (withoutFolder.length === names.length) return;
  const { root, videos } = await findFrameVideos(folder, options.fps ?? 30);
  for (const [list, members] of split) {
    const own = videos.filter(({ name }) => members.has(name));
    const file = listPath(out, list);
    const before = videosIn(file);
    const isComplete = own.every(({ name }) => before.has(name));
    if (own.length === 0 || (isComplete && (list === 'all' || before.size === own.length))) continue;
    // A list with other videos is the user's own.
    if ([...before].some((name) => !members.has(name))) {
      log.warn(`${file} has videos that are not annotated here; the list is not changed`);
      continue;
    }
    writeFrameList(
      file,
      own.map((video) => toListed(root, video)),
    );
    log.info(`${file}: ${countOf(own.length, 'video')}`);
  }
}
