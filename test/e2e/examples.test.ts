/** @file Runs the programs in examples/ as a user would. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../support/temporary_files.js';

let printed: string[];

/** Imports a program with arguments; returns what it printed. */
async function run(program: () => Promise<unknown>, ...args: string[]): Promise<string> {
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((text) => void printed.push(String(text)));
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const { argv } = process;
  process.argv = [argv[0], 'example', ...args];
  try {
    await program();
  } finally {
    process.argv = argv;
  }
  return printed.join('\n');
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the example', () => {
  it('train_with_hook ends the training when its hook aborts', async () => {
    const folder = temporaryFolder();
    const output = await run(() => import('../../examples/train_with_hook.js'), folder);
    expect(output).toMatch(/^\d+ iterations: loss \d\.\d+ → \d\.\d+$/);
    expect(existsSync(join(folder, 'last_checkpoint'))).toBe(true);
  });

  it('detect_in_video finds people in the sample frames and draws them', async () => {
    const folder = temporaryFolder();
    const input = 'sample/frames/vtest_val';
    const output = await run(() => import('../../examples/detect_in_video.js'), input, folder);
    expect(output).toMatch(/^\d+ people in \d+ key frames;/);
    expect(output).toMatch(/^frame \d+: person 0\.\d+: /m);
    expect(existsSync(join(folder, 'detections.json'))).toBe(true);
  });

  it('train_by_processes trains alone without a launcher', async () => {
    const folder = temporaryFolder();
    const output = await run(() => import('../../examples/train_by_processes.js'), folder);
    expect(output).toMatch(/^\d+ iterations, processes: 1, loss \d\.\d+$/);
    expect(existsSync(join(folder, 'last_checkpoint'))).toBe(true);
  });

  it('fine_tune_loop makes three steps by hand and saves the weights', async () => {
    const file = join(temporaryFolder(), 'weights.pth');
    const output = await run(
      () => import('../../examples/fine_tune_loop.js'),
      'checkpoints/sample.pth',
      file,
    );
    expect(output.match(/^iteration \d: loss \d+\.\d+, gradient norm \d+/gm)).toHaveLength(3);
    expect(existsSync(file)).toBe(true);
  });
});
