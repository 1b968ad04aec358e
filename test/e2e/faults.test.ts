/** @file A run as a process meets the world: signals in every phase, two runs in one folder, disks that are full or away. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { launch, start, stmixer } from '../support/cli.js';
import { readJsonLines } from '../support/json_lines.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

const STALLED_FRAMES = new URL('../support/stalled_frames.mjs', import.meta.url).href;

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
});

/** A run that ends only if it is told to, unless `overrides` say otherwise. */
function args(folder: string, overrides = '', flags: string[] = []): string[] {
  const words =
    `${MICRO} SOLVER.MAX_EPOCH 5000 SOLVER.CHECKPOINT_KEEP 2 OUTPUT_DIR ${join(home, folder)} ${overrides}`.trim();
  const evaluation = ['--skip-val-in-train', '--skip-final-test'];
  return [
    'train',
    '--config-file',
    'config_files/tiny.yaml',
    '--engine',
    'onnx',
    ...evaluation,
    ...flags,
  ].concat(words.split(/ +/));
}

/** A run, what it has printed so far, and a wait for it to print something. */
function watched(words: string[], env: NodeJS.ProcessEnv = {}) {
  const { child, finished } = start(words, env);
  let output = '';
  child.stdout!.on('data', (chunk) => {
    output += chunk;
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  );
  return {
    child,
    finished,
    ended,
    says: (text: RegExp) => vi.waitFor(() => expect(output).toMatch(text), { timeout: 60_000, interval: 20 }),
    forget: () => {
      output = '';
    },
  };
}

const iterationOf = (path: string) => (readPth(path) as Map<string, unknown>).get('iteration');

describe('a run in a folder', () => {
  it('refuses a second run, waits while the folder is missing, and on SIGUSR1 saves everything and exits with 0', async () => {
    const run = watched(args('shared'));
    await run.says(/saved .*model_0000002\.pth/);
    const second = await stmixer(args('shared'));
    expect(second.code).toBe(2);
    expect(second.stderr).toMatch(
      new RegExp(`shared: another run is writing here \\(process ${run.child.pid} on`),
    );

    renameSync(join(home, 'shared'), join(home, 'away'));
    await run.says(/cannot be written: the folder .*shared does not exist; trying again/);
    renameSync(join(home, 'away'), join(home, 'shared'));
    run.forget();
    await run.says(/saved /);

    run.child.kill('SIGUSR1');
    const { code, stdout } = await run.finished;
    expect(code).toBe(0);
    const iteration = Number(/stopped after iteration (\d+)/.exec(stdout)![1]);
    expect(iterationOf(readFileSync(join(home, 'shared', 'last_checkpoint'), 'utf8'))).toBe(iteration);
    // The lines that met no folder are there too.
    const log = readJsonLines<{ msg: string }>(join(home, 'shared', 'log.jsonl'));
    expect(log.map(({ msg }) => msg).join('\n')).toMatch(/SIGUSR1: finishing this step/);
    expect(readdirSync(join(home, 'shared')).filter((name) => /lock|tmp/.test(name))).toEqual([]);
  }, 120_000);

  it('ends at once if a second signal comes while it saves, and the next run takes over its lock and continues', async () => {
    const run = watched(args('twice'));
    await run.says(/saved .*model_0000002\.pth/);
    renameSync(join(home, 'twice'), join(home, 'twice-away'));
    await run.says(/trying again/);
    run.child.kill('SIGTERM');
    await run.says(/SIGTERM: finishing this step and saving; send it again to quit at once/);
    run.child.kill('SIGTERM');
    // As the system reports it; a shell says 143.
    expect(await run.ended).toBe('SIGTERM');
    renameSync(join(home, 'twice-away'), join(home, 'twice'));
    expect(existsSync(join(home, 'twice', 'run.lock'))).toBe(true);

    const done = Number(iterationOf(readFileSync(join(home, 'twice', 'last_checkpoint'), 'utf8')));
    const next = await stmixer(args('twice', `SOLVER.MAX_EPOCH ${done / 2 + 1}`, ['--resume']));
    expect(next.code).toBe(0);
    expect(next.stdout).toContain(`continuing after iteration ${done}`);
  }, 120_000);
});

describe('SIGTERM', () => {
  it.each([0, 1])('ends the run with 143 if a frame does not arrive, with %i threads', async (threads) => {
    const pipe = join(home, `pipe-${threads}`);
    execFileSync('mkfifo', [pipe]);
    const env = { NODE_OPTIONS: `--import ${STALLED_FRAMES}`, STALLED_PIPE: pipe };
    const run = watched(args(`stalled-${threads}`, `DATALOADER.NUM_WORKERS ${threads}`), env);
    await run.says(/memory: about/);
    run.child.kill('SIGTERM');
    expect((await run.finished).code).toBe(143);
    expect(readdirSync(join(home, `stalled-${threads}`)).filter((name) => /pth|lock/.test(name))).toEqual([]);
  });

  it('lets the first step finish if it comes during compilation, saves and exits with 143', async () => {
    const run = watched(args('compiling'));
    await run.says(/memory: about/);
    // From here on the first graphs are built and compiled, for more than half a second.
    await new Promise((resolve) => setTimeout(resolve, 150));
    run.child.kill('SIGTERM');
    const { code, stdout } = await run.finished;
    expect(code).toBe(143);
    expect(stdout).toMatch(/stopped after iteration 1:/);
    expect(iterationOf(join(home, 'compiling', 'model_0000001.pth'))).toBe(1);
  });
});

const hasNamespaces = (() => {
  try {
    execFileSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

it.skipIf(!hasNamespaces)(
  'a run on a full disk exits with 4, and the previous checkpoint is whole',
  async () => {
    const disk = join(home, 'disk');
    mkdirSync(disk);
    const output = join(disk, 'output');
    const { program, words } = launch(
      args(
        output.slice(home.length + 1),
        'SOLVER.MAX_EPOCH 4 SOLVER.CHECKPOINT_KEEP 0 SOLVER.CHECKPOINT_RETRY 1',
      ),
    );
    // A disk with room for one checkpoint, seen by these processes only; the results are copied off it.
    const script = `mount -t tmpfs -o size=2m tmpfs "$0" && "$@"; code=$?; cp -r "$0/output" "$0.copy"; exit $code`;
    const child = spawn('unshare', ['-rm', 'sh', '-c', script, disk, program, ...words]);
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toMatch(
      /model_0000004\.pth: cannot be written: no space left on the disk; tried for 0:00:01 .* can go on from .*model_0000002\.pth, which is whole/,
    );
    expect(code).toBe(4);
    expect(iterationOf(join(`${disk}.copy`, 'model_0000002.pth'))).toBe(2);
    expect(readdirSync(`${disk}.copy`).filter((name) => /tmp|0004/.test(name))).toEqual([]);
  },
);
