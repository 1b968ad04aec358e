/** @file Cases of messages that propose something, each with what happens to a user who does it. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadConfig } from '../../../src/config/index.js';
import { stmixerHere } from '../../support/cli.js';

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

/** Puts a program of the shell into a folder; without lines of its own it answers to everything. */
export function program(folder: string, name: string, lines = 'exit 0'): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Runs an action with other variables of the environment. */
export async function withEnv(
  changes: Record<string, string>,
  action: () => Promise<Outcome>,
): Promise<Outcome> {
  const before = { ...process.env };
  Object.assign(process.env, changes);
  try {
    return await action();
  } finally {
    for (const name of Object.keys(changes)) delete process.env[name];
    Object.assign(process.env, before);
  }
}
