/** @file Cases of messages that propose something, each with what happens to a user who does it. */
import { resolve } from 'node:path';
import { loadConfig } from '../../src/config/index.js';
import { stmixerHere } from '../cli.js';

/** How something ended, and everything it said. */
export interface Outcome {
  readonly text: string;
  readonly failed: boolean;
}

/** A message, and its advice. */
export interface Advice {
  /** A part of the message that no success prints. */
  readonly says: string;
  /** Gets the message; `folder` is new and empty. */
  meet(folder: string): Outcome | Promise<Outcome>;
  /** Does what the message proposes, which is `text`, in the folder as `meet` left it. */
  follow(folder: string, text: string): Outcome | Promise<Outcome>;
}

/** What a function of the sources comes to: its error, or the text that it returns. */
export async function outcomeOf(action: () => unknown): Promise<Outcome> {
  try {
    return { text: String((await action()) ?? ''), failed: false };
  } catch (error) {
    return { text: (error as Error).message, failed: true };
  }
}

/** `stmixer <words>`. */
export async function commandLine(...words: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await stmixerHere(words);
  return { text: stdout + stderr, failed: code !== 0 };
}

const SAMPLE = resolve('config_files/sample.yaml');

/** Settings over those of the sample: what is wrong with them, or the warnings about them. */
export function settings(...words: string[]): Promise<Outcome> {
  return outcomeOf(() => loadConfig(SAMPLE, words).warnings.join('\n'));
}

/** The first match of a pattern's group in a message, which must be there. */
export function found(text: string, pattern: RegExp): string {
  const match = pattern.exec(text)?.[1];
  if (match === undefined) throw new Error(`no ${pattern} in: ${text}`);
  return match;
}
