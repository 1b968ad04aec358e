/** @file The flags that benchmarks have in common. */
import { Command } from 'commander';
import type { ClipSize } from './random_batch.js';

export interface ClipFlags extends ClipSize {
  readonly configFile: string;
}

/** A benchmark of the model of a configuration, with keys and values after the flags. */
export function modelCommand(name: string): Command {
  return new Command(name).argument('[overrides...]').requiredOption('--config-file <file>');
}

/** A benchmark of a model on random clips; its flags are `ClipFlags`. */
export function clipCommand(name: string): Command {
  return modelCommand(name)
    .option('--batch <n>', 'clips', Number, 1)
    .option('--height <pixels>', '', Number, 256)
    .option('--width <pixels>', '', Number, 352)
    .option('--boxes <n>', 'boxes per clip', Number, 2);
}
