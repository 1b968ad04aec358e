/** @file OUTPUT_DIR/environment.json: on what a run was made. */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { EngineInfo } from '../engine/index.js';

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
  memory_bytes: number;
  engine: EngineInfo;
}

export function writeEnvironment(outputDir: string, engine: EngineInfo): void {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const environment: Environment = {
    started: new Date().toISOString(),
    command: ['stmixer', ...process.argv.slice(2)],
    version,
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory_bytes: os.totalmem(),
    engine,
  };
  writeFileSync(join(outputDir, 'environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
}
