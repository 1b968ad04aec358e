/** @file What a mistyped command or option was meant to be. */
import type { Command } from 'commander';
import { closestWord, plainName } from '../util/similar.js';

/** Options under their names in other programs. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  '--cfg': '--config-file',
  '--config': '--config-file',
  '--output': '--out',
  '--output-dir': '--out',
  '--video': '--input',
  '--image': '--input',
  '--source': '--input',
};

/**
 * Makes the errors of all commands name what was probably meant: a similar option, another command that has the option, or a
 * subcommand that was given without its command. A mistyped option counts before a required one that is missing.
 */
export function suggestOnErrors(program: Command): void {
  for (const command of everyCommand(program)) {
    requireLate(command);
    command.showSuggestionAfterError(false);
    command.configureOutput({
      outputError: (text, write) => write(withSuggestion(text, command, program)),
    });
  }
}

export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** Checks the required options of a command after its unknown ones, which may be the required ones mistyped. */
function requireLate(command: Command): void {
  const required = command.options.filter(({ mandatory }) => mandatory);
  for (const option of required) option.mandatory = false;
  command.hook('preAction', (_, action) => {
    if (action !== command) return;
    const missing = required.find((option) => command.getOptionValue(option.attributeName()) === undefined);
    if (missing) {
      command.error(`error: required option '${missing.flags}' not specified`, {
        code: 'commander.missingMandatoryOptionValue',
      });
    }
  });
}

function withSuggestion(text: string, command: Command, program: Command): string {
  const [, kind, name] = /^error: unknown (option|command) '([^']*)'/.exec(text) ?? [];
  if (name === undefined) return text;
  const suggestion =
    kind === 'option' ? optionMeant(name, command, program) : commandMeant(name, command, program);
  return suggestion === null ? text : `${text.trimEnd()}\n(${suggestion})\n`;
}

function flagsOf(command: Command): string[] {
  return command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
}

function optionMeant(given: string, command: Command, program: Command): string | null {
  const [word] = given.split('=');
  const flag = `--${word.replace(/^-+/, '')}`;
  const own = flagsOf(command);
  const other = OTHER_NAMES[flag.toLowerCase().replaceAll('_', '-')];
  const near = own.includes(flag)
    ? flag
    : other && own.includes(other)
      ? other
      : closestWord(flag, [...own, '--help']);
  if (near !== null) return `Did you mean ${near}?`;
  const commands = everyCommand(program).filter((one) => one !== command && flagsOf(one).includes(flag));
  if (commands.length === 0) return null;
  const names = commands.map((one) => pathOf(one)).join(', ');
  return `${flag} is an option of: ${names}`;
}

function commandMeant(name: string, command: Command, program: Command): string | null {
  const deeper = everyCommand(program).filter((one) => one.parent !== null && one.parent !== program);
  const named = (commands: readonly Command[], text: (one: Command) => string) => {
    const nearest = closestWord(name, commands.map(text));
    return commands.find((one) => text(one) === nearest);
  };
  const joined = deeper.find((one) => plainName(wordsBelow(one, program)) === plainName(name));
  const found = joined ?? named(command.commands, (one) => one.name()) ?? named(deeper, (one) => one.name());
  return found === undefined ? null : `Did you mean ${pathOf(found)}?`;
}

/** The words of a command after the name of the program. */
function wordsBelow(command: Command, program: Command): string {
  return pathOf(command).slice(program.name().length + 1);
}

/** The words that call a command, e.g. `stmixer data check`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
