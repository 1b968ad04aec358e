/** @file config.yaml: the configuration of a run, with every setting. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, dumpConfig, loadConfig } from '../config/index.js';
import { ConfigError, UserError } from '../errors.js';
import { readText } from '../util/read_text.js';
import { CONFIG } from './run_folder.js';

/** Writes the configuration and returns its text. */
export function writeRunConfig(outputDir: string, config: Config): string {
  const text = dumpConfig(config);
  writeFileSync(join(outputDir, CONFIG), text);
  return text;
}

export interface RunConfig {
  readonly text: string;
  /** Null if this version cannot read the file; `problem` says why. */
  readonly config: Config | null;
  readonly problem: string | null;
}

/** Reads the configuration of a run; null without the file. */
export function readRunConfig(outputDir: string): RunConfig | null {
  const file = join(outputDir, CONFIG);
  const text = readText(file);
  if (text === null) return null;
  try {
    return { text, config: loadConfig(file).config, problem: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { text, config: null, problem: error.message };
  }
}

/** Whether a run wrote a configuration file. Older versions wrote fewer lines, but no others. */
export function isWrittenByRun(file: string): boolean {
  try {
    const written = new Set(dumpConfig(loadConfig(file).config).split('\n'));
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.every((line) => written.has(line));
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}
