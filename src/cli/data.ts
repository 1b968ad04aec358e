/** @file `stmixer data`: prepares a data set from videos, checks it and shows it. */
import { Command } from 'commander';
import { dataCheckCommand } from './data_check.js';
import { dataPrepareCommand } from './data_prepare.js';
import { dataShowCommand } from './data_show.js';

export function dataCommand(): Command {
  return new Command('data')
    .description('prepare a data set from videos, check it, and look at its clips')
    .addCommand(dataPrepareCommand())
    .addCommand(dataCheckCommand())
    .addCommand(dataShowCommand());
}
