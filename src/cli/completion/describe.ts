/** @file What can be typed after each command, taken from the definitions of the command line. */
import type { Argument, Command, Option } from 'commander';

/** What completes a value: fixed words, paths, settings of the configuration, or nothing. */
export type Values = readonly string[] | 'files' | 'settings' | 'none';

export interface Flag {
  /** `--name`, and short and older names. */
  readonly names: readonly string[];
  readonly description: string;
  /** Null for a flag without a value. */
  readonly values: Values | null;
}

export interface Described {
  /** Names of the command and its parents, without the program; empty for the program. */
  readonly path: string;
  readonly description: string;
  readonly children: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly Flag[];
  /** What completes an argument. */
  readonly values: Values;
}

/** Placeholders that stand for a path. */
const PATHS = /file|folder|path|dir|^in$|^out$/i;

/** Describes a command and all below it. */
export function describeAll(command: Command, parents: readonly string[] = []): Described[] {
  const children = command.commands.map((child) => ({
    name: child.name(),
    description: child.description(),
  }));
  const [argument] = command.registeredArguments;
  return [
    {
      path: parents.join(' '),
      description: command.description(),
      children,
      flags: [
        ...command.options.filter(({ hidden }) => !hidden).map(flagOf),
        { names: ['--help'], description: 'display help for command', values: null },
      ],
      values: argument ? valuesOf(argument) : children.length > 0 ? 'none' : 'files',
    },
    ...command.commands.flatMap((child) => describeAll(child, [...parents, child.name()])),
  ];
}

function flagOf(option: Option): Flag {
  const names = option.flags.split(/[ ,|]+/).filter((word) => word.startsWith('-'));
  const argumentName = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? '';
  const takesValue = option.required || option.optional;
  const values = option.argChoices ?? (PATHS.test(argumentName) ? 'files' : 'none');
  return { names, description: option.description, values: takesValue ? values : null };
}

function valuesOf(argument: Argument): Values {
  if (argument.argChoices) return argument.argChoices;
  if (argument.name() === 'overrides') return 'settings';
  return PATHS.test(argument.name()) ? 'files' : 'none';
}

/** Paths of all commands but the program, which lead from one word to the next: `|train`, `data|check`. */
export function stepsOf(commands: readonly Described[]): string[] {
  return commands.flatMap(({ path, children }) => children.map(({ name }) => `${path}|${name}`));
}

/** Branches of a `case "$at|$prev"` that complete the value of each flag, for bash and zsh. */
export function valueCases(commands: readonly Described[], complete: (values: Values) => string): string {
  const lines = commands.flatMap(({ path, flags }) =>
    flags.flatMap(({ names, values }) => {
      if (values === null) return [];
      const patterns = names.map((name) => quoted(`${path}|${name}`)).join('|');
      return [`    ${patterns}) ${complete(values)}; return ;;`];
    }),
  );
  return lines.join('\n');
}

/** Quotes a text for a shell in which only the single quote ends a quoted text. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
