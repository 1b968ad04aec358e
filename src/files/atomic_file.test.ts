/** @file Tests of replacing a file as a whole. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { CheckpointError } from '../errors.js';
import type { HostTensor } from '../formats/host_tensor.js';
import { readPth } from '../formats/pth/pth_reader.js';
import { writePth } from '../formats/pth/pth_writer.js';
import { replaceFile } from './atomic_file.js';

const { at, file } = temporaryFiles();

describe('replacing a file', () => {
  const leftovers = () => readdirSync(at()).filter((name) => name.includes('.tmp-'));

  test('leaves only the old file if writing fails', async () => {
    const path = at('kept.pth');
    await writePth(path, 'old');
    const broken: HostTensor = {
      dtype: 'float32',
      shape: [1],
      bytes: () => {
        throw new Error('the tensor is gone');
      },
    };
    await expect(writePth(path, [broken])).rejects.toThrow('the tensor is gone');
    await expect(writePth(path, [{ ...broken, bytes: () => new Uint8Array(3) }])).rejects.toThrow(
      /has 3 bytes/,
    );
    expect(readPth(path)).toBe('old');
    expect(leftovers()).toEqual([]);
    await writePth(path, 'new');
    expect(readPth(path)).toBe('new');
  });

  test('replaces the temporary file of a killed run', async () => {
    const path = at('again.pth');
    const names: string[] = [];
    const look = async (sink: { write(bytes: Uint8Array): Promise<void> }) => {
      names.push(...leftovers());
      await sink.write(Buffer.from('new'));
    };
    await replaceFile(path, look);
    const number = Number(names[0].split('-').at(-1));
    const next = `${path}.tmp-${process.pid}-${number + 1}`;
    writeFileSync(next, 'a leftover that is longer');
    await replaceFile(path, look);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(existsSync(next)).toBe(false);
  });

  test('leaves no temporary file in a folder that was missing for a while', async () => {
    const [here, away] = [at('share'), at('away')];
    mkdirSync(here);
    const path = join(here, 'saved.pth');
    const interrupted = replaceFile(path, async (sink) => {
      await sink.write(Buffer.from('half'));
      renameSync(here, away);
    });
    await expect(interrupted).rejects.toThrow(/share does not exist/);
    renameSync(away, here);
    await replaceFile(path, (sink) => sink.write(Buffer.from('whole')));
    expect(readdirSync(here)).toEqual(['saved.pth']);
    expect(readFileSync(path, 'utf8')).toBe('whole');
  });

  test('names a missing folder, a file in place of a folder, and a folder in place of a file', async () => {
    const missing = at('missing', 'x.pth');
    await expect(writePth(missing, 1)).rejects.toThrow(
      /x\.pth: cannot be written: the folder .*missing does not exist/,
    );
    await expect(writePth(missing, 1)).rejects.toThrow(CheckpointError);
    await expect(writePth(join(file('plain', ''), 'x.pth'), 1)).rejects.toThrow(CheckpointError);
    mkdirSync(at('dir.pth'));
    await expect(writePth(at('dir.pth'), 1)).rejects.toThrow(CheckpointError);
    expect(leftovers()).toEqual([]);
  });

  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
    'reports missing permission in a read-only folder',
    async () => {
      const locked = at('locked');
      mkdirSync(locked, { mode: 0o500 });
      await expect(writePth(join(locked, 'x.pth'), 1)).rejects.toThrow(/permission denied/);
      chmodSync(locked, 0o700);
    },
  );

  test('names a full disk', async () => {
    const path = at('full.pth');
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    const writing = replaceFile(path, async (sink) => {
      await sink.write(new Uint8Array(10));
      throw full;
    });
    await expect(writing).rejects.toThrow(`${path}: cannot be written: no space left on the disk`);
    await expect(writing).rejects.toThrow(CheckpointError);
    expect(existsSync(path)).toBe(false);
    expect(leftovers()).toEqual([]);
  });
});
