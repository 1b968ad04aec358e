/** @file `stmixer data`: makes a data set from videos, frames and annotations, checks it and shows it. */
import { Command } from 'commander';
import { dataCheckCommand } from './data_check.js';
import { dataImportCommand } from './data_import.js';
import { dataListCommand } from './data_list.js';
import { dataPrepareCommand } from './data_prepare.js';
import { dataShowCommand } from './data_show.js';

export function dataCommand(): Command {
  return new Command('data')
    .description('make a data set from videos, frames and annotations, check it, and look at its clips')
    .addCommand(dataPrepareCommand())
    .addCommand(dataListCommand())
    .addCommand(dataImportCommand())
    .addCommand(dataCheckCommand())
    .addCommand(dataShowCommand());
}
