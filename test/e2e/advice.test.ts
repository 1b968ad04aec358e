/** @file Follows the advice of every message that proposes a command or a setting, and looks for messages that none follows. */
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporary_files.js';
import type { Advice } from './advice/advice.js';
import { CHECKPOINTS } from './advice/checkpoints.js';
import { CONFIGURATION } from './advice/configuration.js';
import { DATA } from './advice/data.js';
import { ENGINES } from './advice/engines.js';
import { FACTS } from './advice/facts.js';
import { MACHINE } from './advice/machine.js';
import { contains, proposingMessages } from './advice/messages.js';
import { OWN_DATA } from './advice/own_data.js';
import { RESULTS } from './advice/results.js';
import { TRAINING } from './advice/training.js';

const AREAS: Record<string, readonly Advice[]> = {
  checkpoints: CHECKPOINTS,
  configuration: CONFIGURATION,
  data: DATA,
  engines: ENGINES,
  machine: MACHINE,
  'own data': OWN_DATA,
  results: RESULTS,
  training: TRAINING,
};

const MESSAGES = proposingMessages('src', 'bin', 'tools/setup_tensorflow');

/** Everything that was printed before advice was followed. */
const printed: string[] = [];

describe.each(Object.entries(AREAS))('the advice about %s', (_, cases) => {
  it.each(cases)('works once it is followed: "$says"', async ({ says, meet, follow }) => {
    const folder = temporaryFolder();
    const { text } = await meet(folder);
    expect(text).toContain(says);
    printed.push(text);
    const after = await follow(folder, text);
    expect(after.failed, after.text).toBe(false);
    expect(after.text).not.toContain(says);
  });
});

it('every message that proposes something is followed above or states a fact', () => {
  const left = MESSAGES.filter(
    (message) =>
      !printed.some((text) => contains(text, message)) &&
      !FACTS.some((fact) => message.parts.some((part) => part.includes(fact))),
  );
  expect(left.map(({ place, parts }) => `${place}: ${parts.join('…')}`)).toEqual([]);
});

it('every listed fact is still part of a message', () => {
  const parts = MESSAGES.flatMap((message) => message.parts);
  expect(FACTS.filter((fact) => !parts.some((part) => part.includes(fact)))).toEqual([]);
});
