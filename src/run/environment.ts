/** @file OUTPUT_DIR/environment.json: on what a run was made. */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { type EngineInfo, machineMemory } from '../engine/index.js';

/** Content of environment.json. */
export interface Environment {
  /** ISO 8601. */
  started: string;
  command: string[];
  version: string;
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  /** All that the process may have. */
  memory_bytes: number;
  /** The file with the limit, where the process may have less than the machine has. */
  memory_limited_by: string | null;
  engine: EngineInfo;
}

export function writeEnvironment(outputDir: string, engine: EngineInfo): void {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const { totalBytes, limitedBy } = machineMemory();
  const environment: Environment = {
    started: new Date().toISOString(),
    command: ['stmixer', ...process.argv.slice(2)],
    version,
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory_bytes: totalBytes,
    memory_limited_by: limitedBy,
    engine,
  };
  writeFileSync(join(outputDir, 'environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
}
