/** @file Everything the engines ask of the machine, in one object that tests replace. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';

export interface Probe {
  readonly platform: string;
  readonly arch: string;
  readonly nodeVersion: string;
  /** Highest Node-API version of this Node. */
  readonly napiVersion: number;
  readonly processors: number;
  /** The process environment; starting an engine writes its settings here, looking never does. */
  readonly env: Record<string, string | undefined>;
  exists(path: string): boolean;
  /** Names in a folder; none where there is no such folder. */
  list(folder: string): string[];
  /** Content as Latin-1, so that binary files can be searched; null where it cannot be read. */
  readText(path: string): string | null;
  /** Folder of an installed npm package, null where it is not installed. */
  packageFolder(name: string): string | null;
  /** Standard output of a program, null where it is missing or fails. */
  run(program: string, args: string[]): string | null;
  /** require(): a package or a native module. */
  load(path: string): unknown;
}

const require = createRequire(import.meta.url);

/** The machine we run on. */
export function machineProbe(): Probe {
  return {
    platform: process.platform,
    arch: process.arch,
    nodeVersion: process.versions.node,
    napiVersion: Number(process.versions.napi),
    processors: availableParallelism(),
    env: process.env,
    exists: existsSync,
    list: (folder) => attempt(() => readdirSync(folder)) ?? [],
    readText: (path) => attempt(() => readFileSync(path, 'latin1')),
    packageFolder: (name) => attempt(() => dirname(require.resolve(`${name}/package.json`))),
    run: (program, args) =>
      attempt(() =>
        execFileSync(program, args, {
          encoding: 'utf8',
          timeout: 20_000,
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      ),
    load: (path) => require(path),
  };
}

function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}
