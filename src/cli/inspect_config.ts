/** @file `stmixer inspect config`: the whole configuration and the origin of each value. */
import { configLines } from '../config/dump.js';
import type { LoadedConfig } from '../config/index.js';
import { formatOrigin } from '../config/messages.js';

/** Column of the comments. Longer lines have their comment further right. */
const COMMENT_COLUMN = 48;

/** Formats the configuration as YAML with the origin of every value as a comment, or as JSON `{ config, origins }`. */
export function inspectConfig({ config, origins }: LoadedConfig, json: boolean): string {
  if (json) return `${JSON.stringify({ config, origins: Object.fromEntries(origins) }, null, 2)}\n`;
  return configLines(config)
    .map(({ text, key }) =>
      key === undefined
        ? `${text}\n`
        : `${text.padEnd(COMMENT_COLUMN)} # ${formatOrigin(origins.get(key)!)}\n`,
    )
    .join('');
}
