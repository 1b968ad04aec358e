/** @file Finds the programs and files that the set-up needs on this machine, before anything is downloaded. */
import { statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Probe } from '../../src/engine/probe.js';
import { EngineError } from '../../src/errors.js';
import { runCommand } from './command.js';

const GIB = 2 ** 30;

/** Thrown if a way of setting up is impossible on this machine; another may be possible. */
export class ClosedWayError extends EngineError {}

/** Throws ClosedWayError if there is no wheel for this platform. */
export function checkPlatform({ platform, arch }: Probe, gpu: boolean): void {
  if (platform !== 'linux' || !(arch === 'x64' || (arch === 'arm64' && !gpu))) {
    throw new ClosedWayError(
      `there is no libtensorflow ${gpu ? 'with CUDA ' : ''}for ${platform} ${arch} in a pip wheel: only Linux on x64` +
        `${gpu ? '' : ' and arm64'}. --download tries the packages' own files instead (they cover macOS and Windows); ` +
        '--engine onnx and --engine cpu need no set-up',
    );
  }
}

/** The first C++ compiler that answers: CXX, g++, clang++. Throws ClosedWayError. */
export async function findCompiler(): Promise<string> {
  const candidates = [process.env.CXX, 'g++', 'clang++', 'c++'].filter((name): name is string =>
    Boolean(name),
  );
  for (const name of candidates) if ((await runCommand(name, ['--version'])).code === 0) return name;
  throw new ClosedWayError(
    `no C++ compiler (looked for ${candidates.join(', ')}): install one, e.g. apt-get install g++, or name it in CXX`,
  );
}

/** Folder of node_api.h, which is the same for every version of Node. Throws ClosedWayError. */
export function findNodeHeaders(probe: Probe, execPath = process.execPath): string {
  const apiHeaders = probe.packageFolder('node-api-headers');
  const folders = [
    join(dirname(dirname(execPath)), 'include', 'node'),
    probe.env.npm_config_nodedir && join(probe.env.npm_config_nodedir, 'include', 'node'),
    join(homedir(), '.cache', 'node-gyp', probe.nodeVersion, 'include', 'node'),
    apiHeaders && join(apiHeaders, 'include'),
  ].filter((folder): folder is string => Boolean(folder));
  const found = folders.find((folder) => probe.exists(join(folder, 'node_api.h')));
  if (found) return found;
  throw new ClosedWayError(
    `the headers of Node (node_api.h) are not there; looked in\n${folders.map((folder) => `    ${folder}`).join('\n')}\n` +
      '  run npm install --no-save node-api-headers, or install them (Debian: libnode-dev), and try again',
  );
}

/** Python with pip. `offline` is the flag for wheels that were fetched elsewhere. Throws ClosedWayError. */
export async function findPython(offline = '--from FILE'): Promise<string> {
  const candidates = [process.env.PYTHON, 'python3', 'python'].filter((name): name is string =>
    Boolean(name),
  );
  for (const name of candidates) {
    if ((await runCommand(name, ['--version'])).code !== 0) continue;
    if ((await runCommand(name, ['-m', 'pip', '--version'])).code === 0) return name;
    throw new ClosedWayError(
      `${name} has no pip: install it (apt-get install python3-pip, or ${name} -m ensurepip), or name another Python in PYTHON`,
    );
  }
  throw new ClosedWayError(
    `no Python (looked for ${candidates.join(', ')}), whose pip fetches the wheel: apt-get install python3-pip; ` +
      `or fetch the wheel elsewhere and pass it with ${offline}`,
  );
}

/** Throws EngineError if the file system of `folder` has less than `bytes` left for the libraries. */
export async function checkFreeSpace(
  folder: string,
  bytes: number,
  { name, advice }: { readonly name: string; readonly advice: string } = {
    name: 'libtensorflow',
    advice: 'Free some, or link a libtensorflow on another disk with --from',
  },
): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= bytes) return;
  throw new EngineError(
    `too little disk space for ${name}: ${(bytes / GIB).toFixed(1)} GiB are needed in ${folder}, ` +
      `${((bavail * bsize) / GIB).toFixed(1)} GiB are free. ${advice}`,
  );
}
