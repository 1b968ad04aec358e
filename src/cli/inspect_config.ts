/** @file `stmixer inspect config`: the resolved configuration and where each value comes from. */
import { configLines } from '../config/dump.js';
import type { LoadedConfig } from '../config/index.js';
import { formatOrigin } from '../config/messages.js';

/** Widest line that still gets its comment in the common column. */
const COMMENT_COLUMN = 48;

/** YAML with the origin of every value as a comment, or JSON `{ config, origins }`. */
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
