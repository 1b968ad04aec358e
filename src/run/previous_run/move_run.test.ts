/** @file A run that is moved aside, or back, and killed at any moment: the next one never continues the old run by mistake. */
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../../test/support/save_checkpoint.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { Checkpointer } from '../../checkpoint/checkpointer.js';
import { loadConfig } from '../../config/index.js';
import { float32Tensor } from '../../formats/host_tensor.js';
import { clearOutputDir, findPreviousRun } from './previous_run.js';

const { beforeMove } = vi.hoisted(() => ({ beforeMove: { call: () => {} } }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return {
    ...fs,
    renameSync: (from: string, to: string) => {
      beforeMove.call();
      fs.renameSync(from, to);
    },
  };
});

const { at } = temporaryFiles();
afterEach(() => {
  beforeMove.call = () => {};
});

const AFRESH = { resume: false, transfer: true, overwrite: true };
const RESUME = { resume: true, transfer: true };
const OLD = [
  'config.yaml',
  'environment.json',
  'evaluation',
  'last_checkpoint',
  'log.jsonl',
  'metrics.jsonl',
  'model_0000002.pth',
];

const clear = (folder: string, request: typeof RESUME) =>
  clearOutputDir(loadConfig('config_files/tiny.yaml', ['OUTPUT_DIR', folder]), request);

async function oldRun(): Promise<string> {
  const folder = at('run');
  mkdirSync(join(folder, 'evaluation'), { recursive: true });
  for (const name of ['log.jsonl', 'metrics.jsonl']) writeFileSync(join(folder, name), 'old\n');
  for (const name of ['config.yaml', 'environment.json']) writeFileSync(join(folder, name), '');
  const model = new Map([['w', float32Tensor([1], Float32Array.of(1))]]);
  const parts = { model, optimizer: {}, scheduler: {}, iteration: 2 };
  await saveCheckpoint(folder, 'model_0000002', parts);
  return folder;
}

/** Returns what a kill before each of the moves of `work` would leave of a folder. */
function kills(folder: string, work: () => void): string[] {
  const left: string[] = [];
  beforeMove.call = () => {
    const copy = at(`killed-${left.length}`);
    cpSync(folder, copy, { recursive: true });
    left.push(copy);
  };
  work();
  beforeMove.call = () => {};
  expect(left.length).toBeGreaterThan(OLD.length);
  return left;
}

describe('a kill while a run is moved', () => {
  it('leaves it whole in the subfolder, and nothing for --resume', async () => {
    const folder = await oldRun();
    // Before the first of them, which makes the journal, nothing has been done.
    const [untouched, ...left] = kills(folder, () => clear(folder, AFRESH));
    expect(findPreviousRun(untouched)?.result).not.toBeNull();
    for (const copy of left) {
      const { warnings } = clear(copy, RESUME);
      expect(findPreviousRun(copy)).toBeNull();
      expect(new Checkpointer(copy).canResume()).toBe(false);
      expect(readdirSync(copy)).toEqual(['previous_run_1']);
      expect(readdirSync(join(copy, 'previous_run_1')).sort()).toEqual(OLD);
      expect(warnings).toEqual([`the run that was in ${copy} is in ${join(copy, 'previous_run_1')} now`]);
    }
  });

  it('leaves it in its place if it was being moved back', async () => {
    const folder = await oldRun();
    const { restore } = clear(folder, AFRESH);
    writeFileSync(join(folder, 'log.jsonl'), 'new\n');
    const [untouched, ...left] = kills(folder, restore);
    expect(existsSync(join(untouched, 'previous_run_1'))).toBe(true);
    for (const copy of left) {
      clear(copy, RESUME);
      expect(readdirSync(copy).sort()).toEqual(OLD);
      expect(new Checkpointer(copy).latest()).toBe(join(copy, 'model_0000002.pth'));
    }
  });
});

it('ignores a journal that cannot be read', async () => {
  const folder = await oldRun();
  writeFileSync(join(folder, '.stmixer-moving.json'), '{"folder": "../elsewhere", "direction": "aside"}');
  clear(folder, RESUME);
  expect(new Checkpointer(folder).canResume()).toBe(true);
});
