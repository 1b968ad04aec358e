/** @file Fetches pip wheels and takes files out of them. */
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { EngineError } from '../../src/errors.js';
import { errorLines, runCommand } from './command.js';
import { ClosedWayError } from './requirements.js';
import { ZipFile } from './zip.js';

/** Python versions to ask pip for if there is no wheel for the Python in use. */
const PYTHON_VERSIONS = ['3.12', '3.11', '3.10'];

/**
 * Lets pip put the wheel of `requirement` (name==version) into `folder`; one that is there already is taken. The
 * wheel's Python version does not matter, since only its libraries are used. `offline` is the flag for wheels that were fetched
 * elsewhere. Throws ClosedWayError.
 */
export async function fetchWheel(
  python: string,
  requirement: string,
  folder: string,
  offline = '--from FILE',
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = requirement
    .split(/[<>=!~ ]/)[0]
    .replaceAll('-', '_')
    .toLowerCase();
  const wheels = async () =>
    (await readdir(folder)).filter(
      (file) => file.toLowerCase().startsWith(`${name}-`) && file.endsWith('.whl'),
    );
  const [there] = await wheels();
  if (there) return join(folder, there);

  const download = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--disable-pip-version-check',
  ];
  const show = process.stdout.isTTY === true;
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const platforms = ['2_17', '2_27', '2_28'].flatMap((glibc) => ['--platform', `manylinux_${glibc}_${arch}`]);
  let first: string | undefined;
  for (const version of [null, ...PYTHON_VERSIONS]) {
    const target = version ? ['--python-version', version, '--implementation', 'cp', ...platforms] : [];
    const result = await runCommand(python, [...download, ...target, '--dest', folder, requirement], {
      show,
    });
    const [wheel] = await wheels();
    if (result.code === 0 && wheel) return join(folder, wheel);
    first ??= errorLines(result.stderr);
    // Another Python version helps only if pip found the package, but no wheel for this version.
    if (!/no matching distribution|could not find a version/i.test(result.stderr)) break;
  }
  throw new ClosedWayError(
    `pip did not fetch ${requirement}:\n${first}\n  Without a network: fetch the wheel elsewhere (pip download ` +
      `--no-deps ${requirement}) and pass it with ${offline}`,
  );
}

/** Picks entries of a wheel: where an entry goes inside the target folder, or null to leave it out. */
export type EntryPicker = (name: string) => string | null;

/**
 * Unpacks the picked files into `folder`. A file is written under another name and renamed when it is whole; one of
 * the right size is left as it is. Throws EngineError where the file is no sound wheel.
 */
export async function unpackWheel(wheel: string, folder: string, pick: EntryPicker): Promise<void> {
  await withWheel(wheel, async (zip) => {
    for (const entry of zip.entries) {
      const relative = pick(entry.name);
      if (relative === null) continue;
      const target = join(folder, relative);
      if (!target.startsWith(folder + sep)) throw new Error(`'${entry.name}' leads outside`);
      if ((await fileSize(target)) === entry.size) continue;
      await mkdir(dirname(target), { recursive: true });
      const partial = `${target}.part`;
      await pipeline(await zip.read(entry), createWriteStream(partial));
      if ((await fileSize(partial)) !== entry.size) throw new Error(`'${entry.name}' is not whole`);
      await rename(partial, target);
    }
  });
}

/** Requirements of a wheel (`Requires-Dist` lines of its METADATA). */
export async function wheelRequirements(wheel: string): Promise<string[]> {
  const metadata = await withWheel(wheel, async (zip) => {
    const entry = zip.entries.find(({ name }) => /^[^/]+\.dist-info\/METADATA$/.test(name));
    return entry ? text(await zip.read(entry)) : '';
  });
  return [...metadata.matchAll(/^Requires-Dist: (.+)$/gm)].map(([, line]) => line.trim());
}

/** Packages that `pip install tensorflow[and-cuda]` would add: name and version bounds, as pip takes them. */
export function cudaRequirements(requires: string[]): string[] {
  return requires
    .filter((line) => /extra == ["']and-cuda["']/.test(line))
    .map((line) => line.split(';')[0].replace(/[\s()]/g, ''));
}

async function fileSize(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}

/** Opens the wheel, calls `use` and closes it. Errors name the wheel. */
async function withWheel<T>(wheel: string, use: (zip: ZipFile) => Promise<T>): Promise<T> {
  let zip: ZipFile | undefined;
  try {
    zip = await ZipFile.open(wheel);
    return await use(zip);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') throw new EngineError(`the disk is full: ${message}`, { cause: error });
    throw new EngineError(`${wheel} cannot be unpacked: ${message}. Delete it and try again`, {
      cause: error,
    });
  } finally {
    zip?.close();
  }
}
