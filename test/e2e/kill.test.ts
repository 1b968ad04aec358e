/** @file SIGKILL while checkpoints are being written: what is left is whole, and the next run goes on from it. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Checkpointer } from '../../src/checkpoint/checkpointer.js';
import { type HostTensor, toFloat32 } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { verifyWeightFile } from '../../src/formats/weight_file.js';
import { Rng } from '../../src/util/random.js';
import { builtProgram } from '../support/built.js';
import { temporaryFolder } from '../support/temporary_files.js';

const PROGRAM = builtProgram('saving_process');
const KILLS = process.env.STMIXER_LONG_TESTS ? 200 : 5;

/** Saves from `first` on until it is killed, so long after its first checkpoint; returns the last one it knew was done. */
async function saveUntilKilled(folder: string, first: number, milliseconds: number): Promise<number> {
  const child = spawn(process.execPath, [PROGRAM, folder, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  let output = '';
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (text) => {
      output += text;
      resolve();
    });
    child.on('close', () => resolve());
  });
  await setTimeout(milliseconds);
  child.kill('SIGKILL');
  await closed;
  return Number(output.trim().split('\n').at(-1));
}

it(
  `a killed run leaves a whole checkpoint, ${KILLS} times`,
  async () => {
    const folder = temporaryFolder();
    const rng = new Rng(1);
    let interrupted = 0;
    let next = 1;
    for (let n = 0; n < KILLS; n++) {
      const done = await saveUntilKilled(folder, next, rng.uniformBetween(0, 60));
      const files = readdirSync(folder);
      if (files.some((file) => file.includes('.tmp-'))) interrupted++;
      for (const file of files.filter((name) => name.endsWith('.pth'))) verifyWeightFile(join(folder, file));

      const last = new Checkpointer(folder).latest()!;
      const content = readPth(last) as Map<string, unknown>;
      const iteration = content.get('iteration') as number;
      // Killed between the checkpoint and its report it may be one further.
      expect([done, done + 1]).toContain(iteration);
      const values = toFloat32((content.get('model') as Map<string, HostTensor>).get('w')!);
      expect(values.every((value) => value === iteration)).toBe(true);
      next = iteration + 1;
    }
    // Most of its time such a process writes: kills that never met a half-written file would show nothing.
    expect(interrupted).toBeGreaterThan(0.2 * KILLS);
    new Checkpointer(folder).removeLeftovers();
    expect(readdirSync(folder).filter((file) => file.includes('.tmp-'))).toEqual([]);
  },
  KILLS * 15_000,
);
