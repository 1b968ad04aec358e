/** @file The version of this package. */
import { readFileSync } from 'node:fs';

/** Reads the version in package.json, which lies two folders above this module in the sources and in the build. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}
