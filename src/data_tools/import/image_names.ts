/** @file Which video, and which of its frames, an image is: by its path. */

export interface FrameName {
  /** Null if the path names no video, as in `frame_000001.jpg`. */
  readonly video: string | null;
  /** Null if the name has no number. */
  readonly frame: number | null;
}

/** Folders and beginnings of file names that say nothing about the video. */
const GENERIC_FOLDER =
  /^(?:\.{0,2}|frames?|images?|imgs?|img\d|rgb|jpe?g(?:images)?|data|obj_train_data|default|train|val|test|upload)$/i;
const GENERIC_STEM = /^(?:frames?|images?|imgs?|f|thumb|rgb|snapshot|shot|out|output)?$/i;

/** The parts of a path or URL, which may be escaped as in URLs. */
export function pathParts(path: string): string[] {
  const bare = path
    // Label Studio names local files in the field `d` of a URL.
    .replace(/^.*\?(?:.*&)?d=/, '')
    .replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '')
    .replace(/[?#].*$/, '');
  return unescaped(bare)
    .split(/[/\\]+/)
    .filter((part) => part !== '');
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The name of the file in a path or URL, without its extension. */
export function stemOf(path: string): string {
  return (pathParts(path).at(-1) ?? path).replace(/\.[A-Za-z][A-Za-z0-9]{1,4}$/, '');
}

/**
 * The video and the number of each frame: `walk_01/000030.jpg` and `walk_01_000030.jpg` are frame 30 of walk_01. If the files of
 * one folder begin with different names, these are the videos.
 */
export function frameNames(paths: Iterable<string>): Map<string, FrameName> {
  const found = [...paths].map((path) => ({ path, ...partsOfName(path) }));
  const prefixes = new Map<string, Set<string>>();
  for (const { folder, prefix } of found) {
    const known = prefixes.get(folder ?? '') ?? new Set();
    prefixes.set(folder ?? '', known.add(prefix ?? ''));
  }
  return new Map(
    found.map(({ path, folder, prefix, frame }) => {
      const byPrefix = folder === null || prefixes.get(folder)!.size > 1;
      return [path, { video: byPrefix ? (prefix ?? folder) : folder, frame }];
    }),
  );
}

/** The folder and the beginning of the file name, each null if it says nothing about the video. */
function partsOfName(path: string): { folder: string | null; prefix: string | null; frame: number | null } {
  const match = /^(.*?)[\s_.-]*(\d+)$/.exec(stemOf(path));
  const folder = pathParts(path)
    .slice(0, -1)
    .findLast((part) => !GENERIC_FOLDER.test(part));
  const prefix = match?.[1] ?? '';
  return {
    folder: folder ?? null,
    prefix: GENERIC_STEM.test(prefix) ? null : prefix,
    frame: match ? Number(match[2]) : null,
  };
}

/** A name for frame lists and csv files, whose columns are separated by spaces and commas. */
export function videoNameOf(text: string): string {
  return text.trim().replace(/[\s,"']+/g, '_') || 'video';
}
