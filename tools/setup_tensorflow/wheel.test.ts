/** @file Wheels: fetched by a stand-in for pip, and unpacked. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { writeZip } from '../../test/support/zip_file.js';
import { ClosedWayError } from './requirements.js';
import { cudaRequirements, fetchWheel, unpackWheel, wheelRequirements } from './wheel.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

/** A program that answers `-m pip download … --dest DIR NAME`. */
function standInForPip(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    `#!/bin/sh\nwhile [ "$1" != --dest ]; do args="$args $1"; shift; done\ndest=$2\n${script}\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

describe('fetchWheel', () => {
  const save = 'echo wheel > "$dest/tensorflow_cpu-2.21.0-cp311-cp311-linux.whl"';

  it('lets pip fetch the wheel once', async () => {
    const target = join(folder, 'once');
    const pip = standInForPip('pip-once', `echo called >> ${folder}/calls; ${save}`);
    const wheel = await fetchWheel(pip, 'tensorflow-cpu==2.21.0', target);
    expect(wheel).toBe(join(target, 'tensorflow_cpu-2.21.0-cp311-cp311-linux.whl'));
    expect(await fetchWheel(pip, 'tensorflow-cpu==2.21.0', target)).toBe(wheel);
    expect(readFileSync(join(folder, 'calls'), 'utf8')).toBe('called\n');
  });

  it('asks for the wheel of another Python if there is none for this one', async () => {
    const pip = standInForPip(
      'pip-other',
      `case "$args" in *"--python-version 3.12"*--platform*) ${save};; *) echo 'ERROR: No matching distribution found' >&2; exit 1;; esac`,
    );
    expect(await fetchWheel(pip, 'tensorflow-cpu==2.21.0', join(folder, 'other'))).toMatch(/\.whl$/);
  });

  it("passes pip's error on, with advice", async () => {
    const pip = standInForPip(
      'pip-fails',
      "echo 'WARNING: retrying' >&2; echo 'ERROR: disk quota' >&2; exit 2",
    );
    const result = fetchWheel(pip, 'tensorflow-cpu==2.21.0', join(folder, 'fails'));
    await expect(result).rejects.toThrow(ClosedWayError);
    await expect(result).rejects.toThrow(
      /did not fetch tensorflow-cpu==2\.21\.0:\n {4}ERROR: disk quota\n.*--from FILE/,
    );
  });
});

describe('unpackWheel', () => {
  const files = {
    'tensorflow/a.so': 'library',
    'tensorflow/b.py': 'python',
    'tensorflow/c.so': Buffer.alloc(1e6, 7),
  };
  const pick = (name: string) => (name.endsWith('.so') ? name.replace('tensorflow', 'lib') : null);

  it.each([0, 8] as const)('unpacks the picked files (method %i)', async (method) => {
    const [wheel, target] = [join(folder, `m${method}.whl`), join(folder, `m${method}`)];
    writeZip(wheel, files, method);
    await unpackWheel(wheel, target, pick);
    expect(readdirSync(join(target, 'lib')).sort()).toEqual(['a.so', 'c.so']);
    expect(readFileSync(join(target, 'lib', 'a.so'), 'utf8')).toBe('library');
    expect(readFileSync(join(target, 'lib', 'c.so')).equals(files['tensorflow/c.so'])).toBe(true);
  });

  it('continues where it was interrupted: keeps whole files and writes partial ones again', async () => {
    const [wheel, target] = [join(folder, 'resume.whl'), join(folder, 'resume')];
    writeZip(wheel, files);
    await unpackWheel(wheel, target, pick);
    const [whole, half] = [join(target, 'lib', 'a.so'), join(target, 'lib', 'c.so')];
    utimesSync(whole, 1, 1);
    truncateSync(half, 10);
    writeFileSync(`${half}.part`, 'rest of an earlier run, longer than nothing');
    await unpackWheel(wheel, target, pick);
    expect(statSync(whole).mtimeMs).toBe(1000);
    expect(readFileSync(half).equals(files['tensorflow/c.so'])).toBe(true);
  });

  it('refuses names that lead out of the folder', async () => {
    const wheel = join(folder, 'evil.whl');
    writeZip(wheel, { '../outside.so': 'x' });
    await expect(unpackWheel(wheel, join(folder, 'inside'), (name) => name)).rejects.toThrow(
      'invalid relative path: ../outside.so',
    );
  });

  it('names the broken file', async () => {
    const wheel = join(folder, 'cut.whl');
    writeZip(wheel, files);
    truncateSync(wheel, 60);
    await expect(unpackWheel(wheel, join(folder, 'cut'), pick)).rejects.toThrow(
      /cut\.whl cannot be unpacked: .*not a zip file, or file is truncated.*Delete it/,
    );
    const damaged = join(folder, 'damaged.whl');
    writeZip(damaged, files);
    const bytes = readFileSync(damaged);
    bytes.fill(0xff, 50, 60);
    writeFileSync(damaged, bytes);
    await expect(unpackWheel(damaged, join(folder, 'damaged'), pick)).rejects.toThrow(
      /damaged\.whl cannot be unpacked/,
    );
    await expect(unpackWheel(join(folder, 'none.whl'), folder, pick)).rejects.toThrow(/none\.whl/);
  });
});

it('cudaRequirements lists the CUDA packages that a tensorflow wheel needs', async () => {
  const wheel = join(folder, 'meta.whl');
  mkdirSync(join(folder, 'x'), { recursive: true });
  writeZip(wheel, {
    'tensorflow-2.21.0.dist-info/METADATA': [
      'Metadata-Version: 2.1',
      'Name: tensorflow',
      'Version: 2.21.0',
      'Requires-Dist: numpy>=1.26.0',
      'Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
      'Requires-Dist: nvidia-cudnn-cu12 (<10.0,>=9.3.0.75) ; extra == "and-cuda"',
    ].join('\n'),
  });
  const requires = await wheelRequirements(wheel);
  expect(requires).toHaveLength(3);
  expect(cudaRequirements(requires)).toEqual([
    'nvidia-cublas-cu12<13.0,>=12.5.3.2',
    'nvidia-cudnn-cu12<10.0,>=9.3.0.75',
  ]);
});
