/** @file All commands of the command line, with the examples of their help. */
import type { Command } from 'commander';
import { completionCommand } from './completion.js';
import { convertCommand } from './convert.js';
import { dataCommand } from './data.js';
import { detectCommand } from './detect.js';
import { doctorCommand } from './doctor.js';
import { engineCommand } from './engine.js';
import { evaluateCommand } from './evaluate.js';
import { addExamples } from './examples.js';
import { inspectCommand } from './inspect.js';
import { reportCommand } from './report.js';
import { testCommand } from './test.js';
import { trainCommand } from './train.js';

/** Returns new commands in the order in which the help lists them. */
export function allCommands(): Command[] {
  const commands = [
    trainCommand(),
    testCommand(),
    evaluateCommand(),
    detectCommand(),
    dataCommand(),
    inspectCommand(),
    convertCommand(),
    reportCommand(),
    engineCommand(),
    doctorCommand(),
    completionCommand(),
  ];
  for (const command of commands) addExamples(command);
  return commands;
}
