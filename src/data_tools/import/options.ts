/** @file What an import is given, and what it finds about each video. */
import type { Log } from '../../util/log.js';
import type { SplitOptions } from '../split.js';
import type { ActionOptions } from './actions.js';
import type { FactOptions, KnownVideo } from './facts.js';
import type { FormatName } from './format_names.js';
import type { PersonBox } from './rows.js';

export interface ImportOptions extends FactOptions, ActionOptions, SplitOptions {
  readonly files: readonly string[];
  /** The content of the files tells it by default. */
  readonly format?: FormatName;
  /** Time of the first frame of each video in the annotations; by default 0, or --start of `data prepare`. */
  readonly firstSecond?: number;
  /** Time between key frames in seconds; by default each annotated frame is one. */
  readonly step?: number;
  /** A label map whose ids are used. */
  readonly labelMap?: string;
  /** Name of the video, if the files are about one only. */
  readonly video?: string;
  readonly overwrite?: boolean;
  readonly log: Log;
}

export interface ImportedVideoBoxes {
  readonly name: string;
  readonly known: KnownVideo;
  readonly boxes: PersonBox[];
}
