/** @file Tables that the Markdown pages take from the sources: configuration keys, and the flags of each command. */
import type { Argument, Command, Option } from 'commander';
import { allCommands } from '../../src/cli/commands.js';
import { configReference } from './config_reference.js';
import { code, markdownTable } from './markdown.js';

const BLOCK = /(<!-- generated: (.+?) -->\n)[\s\S]*?(<!-- \/generated -->)/g;

/**
 * Fills every block between `<!-- generated: NAME -->` and `<!-- /generated -->`. NAME is `config-reference` or
 * `flags COMMAND`, e.g. `flags data prepare`. Throws an Error for any other name.
 */
export function fillTables(page: string): string {
  return page.replaceAll(BLOCK, (_, begin, name, end) => `${begin}\n${table(name)}\n\n${end}`);
}

function table(name: string): string {
  if (name === 'config-reference') return configReference();
  const path = /^flags (.+)$/.exec(name)?.[1].split(' ');
  const command = path && findCommand(path);
  if (!command) throw new Error(`generated: ${name}: expected config-reference or flags COMMAND`);
  return flagsTable(command);
}

function findCommand([name, ...rest]: string[]): Command | undefined {
  let command = allCommands().find((candidate) => candidate.name() === name);
  for (const child of rest) command = command?.commands.find((candidate) => candidate.name() === child);
  return command;
}

/** Markdown table of a command's arguments and flags. */
export function flagsTable(command: Command): string {
  return markdownTable(
    ['flag', 'meaning', 'default'],
    [
      ...command.registeredArguments.map(argumentRow),
      ...command.options.filter((option) => !option.hidden).map(optionRow),
    ],
  );
}

function argumentRow(argument: Argument): string[] {
  const name = argument.name() + (argument.variadic ? ' …' : '');
  return [code(argument.required ? `<${name}>` : `[${name}]`), argument.description, ''];
}

function optionRow({ flags, description, argChoices, mandatory, negate, defaultValue }: Option): string[] {
  const choices = argChoices ? ` (${argChoices.join(', ')})` : '';
  const value = negate || defaultValue === undefined ? '' : code(String(defaultValue));
  return [code(flags), description + choices, mandatory ? 'required' : value];
}
