/** @file Files and folders that are not taken: how many of each kind, and the first. */

import { countOf } from '../../util/progress.js';
import { printable } from '../../util/text.js';

/** Kinds, in the singular and the plural. The first ones may be videos that the user misses. */
const KINDS = {
  unreadableFolder: ['folder that cannot be opened', 'folders that cannot be opened'],
  unreadable: ['file that cannot be opened', 'files that cannot be opened'],
  danglingLink: ['link to nothing', 'links to nothing'],
  emptyFile: ['empty file (0 bytes)', 'empty files (0 bytes)'],
  unfinished: ['unfinished download', 'unfinished downloads'],
  video: ['video', 'videos'],
  animated: ['animated picture', 'animated pictures'],
  unknown: ['file that ffmpeg cannot read', 'files that ffmpeg cannot read'],
  sound: ['sound file', 'sound files'],
  subtitles: ['subtitle file', 'subtitle files'],
  picture: ['picture', 'pictures'],
  text: ['text or document', 'texts or documents'],
  data: ['archive or data file', 'archives or data files'],
  other: ['other file', 'other files'],
  special: ['pipe, socket or device', 'pipes, sockets or devices'],
  hidden: ['hidden file or folder', 'hidden files or folders'],
  circle: ['folder that links lead to once more', 'folders that links lead to once more'],
  folder: ['folder', 'folders'],
  emptyFolder: ['empty folder', 'empty folders'],
} as const satisfies Record<string, readonly [string, string]>;

export type PassedOverKind = keyof typeof KINDS;

const MAYBE_MISSED: ReadonlySet<PassedOverKind> = new Set([
  'unreadableFolder',
  'unreadable',
  'danglingLink',
  'unfinished',
] as const);

export class PassedOver {
  readonly #found = new Map<PassedOverKind, { number: number; first: string }>();

  add(kind: PassedOverKind, path: string): void {
    const entry = this.#found.get(kind);
    if (entry) entry.number++;
    else this.#found.set(kind, { number: 1, first: path });
  }

  /** The first of a kind, or null. */
  first(kind: PassedOverKind): string | null {
    return this.#found.get(kind)?.first ?? null;
  }

  /** E.g. `2 pictures (first: a.jpg)`, those that may be missed first. */
  describe(): string[] {
    return this.#list((kind) => this.#describe(kind));
  }

  /** Lines for the user: `warning: not taken: …` for what may be missed, else `note: not taken: …`. */
  lines(): string[] {
    return this.#list(
      (kind) => `${MAYBE_MISSED.has(kind) ? 'warning' : 'note'}: not taken: ${this.#describe(kind)}`,
    );
  }

  #list(describe: (kind: PassedOverKind) => string): string[] {
    return (Object.keys(KINDS) as PassedOverKind[]).filter((kind) => this.#found.has(kind)).map(describe);
  }

  #describe(kind: PassedOverKind): string {
    const { number, first } = this.#found.get(kind)!;
    const [one, many] = KINDS[kind];
    return `${countOf(number, one, many)} (${number > 1 ? 'first: ' : ''}${printable(first)})`;
  }
}
