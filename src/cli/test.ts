/** @file `stmixer test`: its flags. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import type { EngineRequest } from '../engine/index.js';
import { EVALUATION_FOLDER } from '../run/run_folder.js';
import { addEngineOptions, type ConfigOptions, configCommand } from './options.js';
import { goOnWithoutOutput } from './output.js';

type Flags = ConfigOptions & Pick<EngineRequest, 'engine' | 'device'>;

export function testCommand(): Command {
  return addEngineOptions(configCommand('test'))
    .description('evaluate MODEL.WEIGHT (or the last checkpoint in OUTPUT_DIR) on the test lists')
    .action(async (overrides: string[], { configFile, engine, device, verbose = false }: Flags) => {
      const loaded = loadConfig(configFile, overrides);
      goOnWithoutOutput(`the results are in ${join(loaded.config.OUTPUT_DIR, EVALUATION_FOLDER)}`);
      const { test } = await import('../training/evaluate_checkpoint.js');
      process.exitCode = await test(loaded, { engine, device, verbose });
    });
}
