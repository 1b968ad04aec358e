/** @file Access to the machine for the engines, behind an interface that tests replace. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';

/** Access to the machine. */
export interface Probe {
  readonly platform: string;
  readonly arch: string;
  readonly nodeVersion: string;
  /** Highest Node-API version of this Node. */
  readonly napiVersion: number;
  readonly processors: number;
  /** The process environment. Only the start of an engine changes it, for the libraries that it loads. */
  readonly env: Record<string, string | undefined>;
  exists(path: string): boolean;
  /** Names in a folder; empty if there is no such folder. */
  list(folder: string): string[];
  /** Content as Latin-1, so that binary files can be searched; null if it cannot be read. */
  readText(path: string): string | null;
  /** What a symbolic link points to; null if it cannot be read. */
  readLink(path: string): string | null;
  /** Folder of an installed npm package, null if it is not installed. */
  packageFolder(name: string): string | null;
  /** Standard output of a program, null if it is missing, fails, or takes longer than `timeoutSeconds`, by default 20. */
  run(program: string, args: string[], timeoutSeconds?: number): string | null;
  /** Loads a package or a native module with require(). */
  load(path: string): unknown;
}

const require = createRequire(import.meta.url);

/** The machine that this process runs on. */
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
    readLink: (path) => attempt(() => readlinkSync(path)),
    packageFolder: (name) => attempt(() => dirname(require.resolve(`${name}/package.json`))),
    run: (program, args, timeoutSeconds = 20) =>
      attempt(() =>
        execFileSync(program, args, {
          encoding: 'utf8',
          timeout: 1000 * timeoutSeconds,
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
