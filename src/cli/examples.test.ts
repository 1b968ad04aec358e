/** @file The examples in the help of every command. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { expect, it } from 'vitest';
import { FIELDS } from '../config/schema/index.js';
import { allCommands } from './commands.js';
import { EXAMPLES } from './examples.js';

/** The command line whose commands only note that they were called. */
function parser(called: string[]): Command {
  const program = new Command('stmixer').exitOverride();
  for (const command of allCommands()) program.addCommand(command);
  const prepare = (command: Command, path: string): void => {
    command.exitOverride().configureOutput({ writeErr: () => {} });
    if (command.commands.length === 0) command.action(() => void called.push(path));
    for (const child of command.commands) prepare(child, `${path} ${child.name()}`.trim());
  };
  prepare(program, '');
  return program;
}

function pathsOf(command: Command, parents: string[] = []): string[] {
  const path = [...parents, command.name()];
  return [path.join(' '), ...command.commands.flatMap((child) => pathsOf(child, path))];
}

it('every command and subcommand has an example, and no other has one', () => {
  expect(Object.keys(EXAMPLES).sort()).toEqual(
    allCommands()
      .flatMap((command) => pathsOf(command))
      .sort(),
  );
});

const LINES = Object.entries(EXAMPLES).flatMap(([path, examples]) =>
  examples.map(([, words]) => [path, words]),
);

it.each(LINES)('the example of %s can be typed: %s', async (path, line) => {
  const called: string[] = [];
  // The shell takes what follows a redirection.
  const words = line.split(' >')[0].split(' ');
  await parser(called).parseAsync(words, { from: 'user' });
  expect(called).toHaveLength(1);
  expect(called[0].startsWith(path)).toBe(true);
  for (const key of words.filter((word) => /^[A-Za-z]+(\.[A-Z_]+)+$/.test(word)))
    expect([...FIELDS.keys()]).toContain(key);
  for (const file of words.filter((word) => word.startsWith('config_files/')))
    expect(existsSync(file)).toBe(true);
});

it('the help of a command ends with its examples', () => {
  const train = allCommands().find((command) => command.name() === 'train')!;
  let help = '';
  train.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  expect(help).toMatch(
    /Examples:\n {2}# train with a configuration\n {2}stmixer train --config-file my\.yaml\n/,
  );
});
