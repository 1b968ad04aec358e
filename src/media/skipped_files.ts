/** @file Files and folders that are skipped: how many of each kind, and the first of them. */
import { countOf, printable } from '../util/text.js';

/** Kinds, in the singular and the plural. The first ones may be videos that the user misses. */
const KINDS = {
  unreadableFolder: ['folder that cannot be opened', 'folders that cannot be opened'],
  unreadable: ['file that cannot be opened', 'files that cannot be opened'],
  danglingLink: ['broken link', 'broken links'],
  emptyFile: ['empty file (0 bytes)', 'empty files (0 bytes)'],
  unfinished: ['unfinished download', 'unfinished downloads'],
  video: ['video', 'videos'],
  animated: ['animated image', 'animated images'],
  unknown: ['file that ffmpeg cannot read', 'files that ffmpeg cannot read'],
  sound: ['sound file', 'sound files'],
  subtitles: ['subtitle file', 'subtitle files'],
  image: ['image', 'images'],
  text: ['text or document', 'texts or documents'],
  data: ['archive or data file', 'archives or data files'],
  other: ['other file', 'other files'],
  special: ['pipe, socket or device', 'pipes, sockets or devices'],
  hidden: ['hidden file or folder', 'hidden files or folders'],
  circle: ['folder that a link leads to again', 'folders that links lead to again'],
  folder: ['folder', 'folders'],
  emptyFolder: ['empty folder', 'empty folders'],
} as const satisfies Record<string, readonly [string, string]>;

export type SkippedKind = keyof typeof KINDS;

const MAY_BE_MISSED: ReadonlySet<SkippedKind> = new Set([
  'unreadableFolder',
  'unreadable',
  'danglingLink',
  'unfinished',
] as const);

export class SkippedFiles {
  readonly #found = new Map<SkippedKind, { number: number; first: string }>();

  add(kind: SkippedKind, path: string): void {
    const entry = this.#found.get(kind);
    if (entry) entry.number++;
    else this.#found.set(kind, { number: 1, first: path });
  }

  /** The first file of a kind, or null. */
  first(kind: SkippedKind): string | null {
    return this.#found.get(kind)?.first ?? null;
  }

  /** Clauses such as `2 images (first: a.jpg)`, beginning with files that may be missed. */
  describe(): string[] {
    return this.#list().map((kind) => this.#describe(kind));
  }

  /** The same clauses; `severity` is `warning` for files that may be missed, else `note`. */
  messages(): { severity: 'warning' | 'note'; text: string }[] {
    return this.#list().map((kind) => ({
      severity: MAY_BE_MISSED.has(kind) ? 'warning' : 'note',
      text: `skipped: ${this.#describe(kind)}`,
    }));
  }

  #list(): SkippedKind[] {
    return (Object.keys(KINDS) as SkippedKind[]).filter((kind) => this.#found.has(kind));
  }

  #describe(kind: SkippedKind): string {
    const { number, first } = this.#found.get(kind)!;
    const [one, many] = KINDS[kind];
    return `${countOf(number, one, many)} (${number > 1 ? 'first: ' : ''}${printable(first)})`;
  }
}
