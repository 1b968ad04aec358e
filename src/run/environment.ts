/** @file environment.json: the machine, the versions and the command line of a run. */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { type EngineInfo, machineMemory } from '../engine/index.js';
import { packageVersion } from '../util/package_version.js';
import { ENVIRONMENT } from './run_folder.js';

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
  /** Memory that the process may use. */
  memory_bytes: number;
  /** The file that sets a limit below the machine's memory, or null. */
  memory_limited_by: string | null;
  engine: EngineInfo;
  /** Number of processes that worked together. */
  processes: number;
}

export function writeEnvironment(outputDir: string, engine: EngineInfo, processes: number): void {
  const { totalBytes, limitedBy } = machineMemory();
  const environment: Environment = {
    started: new Date().toISOString(),
    command: ['stmixer', ...process.argv.slice(2)],
    version: packageVersion(),
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory_bytes: totalBytes,
    memory_limited_by: limitedBy,
    engine,
    processes,
  };
  writeFileSync(join(outputDir, ENVIRONMENT), `${JSON.stringify(environment, null, 2)}\n`);
}
