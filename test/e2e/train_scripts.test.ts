/** @file scripts/train.sh and scripts/train-slurm.sh, with stand-ins for Node, mpirun and Slurm's programs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFiles } from '../support/temporary_files.js';

const { at, file } = temporaryFiles();

/** Prints what it was started with. */
const PRINTING = 'echo "$(basename "$0") $*"';
/** Like a training: it saves on SIGUSR1, which takes longer than a signal. */
const TRAINING = `${PRINTING}
trap 'sleep 0.3; echo saved; exit 0' USR1
touch started
while true; do sleep 0.05; done`;

function program(name: string, lines: string): void {
  file(`programs/${name}`, `#!/bin/bash\n${lines}\n`);
  chmodSync(at('programs', name), 0o755);
}

beforeEach(() => {
  cpSync('scripts', at('scripts'), { recursive: true });
  mkdirSync(at('programs'));
  program('node', PRINTING);
  program('mpirun', PRINTING);
  // Starts one of the tasks, and sends it the signals that it gets.
  program('srun', `${PRINTING}\nshift 2\nexec "$@"`);
  program('scontrol', PRINTING);
});

interface Options {
  readonly words?: readonly string[];
  readonly env?: Record<string, string>;
  /** Sent as soon as a training has started. */
  readonly signals?: readonly NodeJS.Signals[];
}

async function run(name: string, { words = [], env = {}, signals = [] }: Options = {}) {
  const { HOME = '', PATH = '' } = process.env;
  const child = spawn('bash', [at('scripts', name), ...words], {
    env: { HOME, PATH: `${at('programs')}:${PATH}`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output += text;
    });
  const closed = once(child, 'close');
  for (const signal of signals) {
    while (!existsSync(at('started'))) await setTimeout(20);
    child.kill(signal);
    await setTimeout(100);
  }
  const [code] = await closed;
  return { code, lines: output.trim().split('\n') };
}

const SLURM = () => ({
  SLURM_JOB_ID: '17',
  SLURM_SUBMIT_DIR: at(),
  SLURM_NTASKS: '8',
  SLURM_CPUS_PER_TASK: '6',
});

describe('train.sh', () => {
  it('trains with one process, and continues', async () => {
    const words = ['my.yaml', '--transfer', 'MODEL.WEIGHT', 'a b.pth'];
    expect(await run('train.sh', { words })).toEqual({
      code: 0,
      lines: ['node bin/stmixer.js train --config-file my.yaml --resume --transfer MODEL.WEIGHT a b.pth'],
    });
  });

  it('passes everything on to several processes on this machine', async () => {
    program('mpirun', `${PRINTING}\necho $UV_THREADPOOL_SIZE $STMIXER_IGNORE_SIGHUP`);
    program('getconf', 'echo 12');
    const { lines } = await run('train.sh', { words: ['my.yaml'], env: { PROCESSES: '4' } });
    const command = 'node bin/stmixer.js train --config-file my.yaml --resume';
    expect(lines).toEqual([`mpirun --bind-to none -np 4 ${command}`, '3']);
  });

  it('starts over with --overwrite, but not after Slurm has requeued the job', async () => {
    const words = ['my.yaml', '--overwrite', 'OUTPUT_DIR', 'x'];
    const first = await run('train.sh', { words });
    expect(first.lines).toEqual(['node bin/stmixer.js train --config-file my.yaml --overwrite OUTPUT_DIR x']);
    const second = await run('train.sh', { words, env: { SLURM_RESTART_COUNT: '1' } });
    expect(second.lines).toEqual(['node bin/stmixer.js train --config-file my.yaml --resume OUTPUT_DIR x']);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGUSR1', 0],
  ] as const)('lets several processes save on %s', async (signal, exitCode) => {
    program('mpirun', TRAINING);
    const options = { words: ['my.yaml'], env: { PROCESSES: '2' }, signals: [signal] };
    const { code, lines } = await run('train.sh', options);
    expect(lines.at(-1)).toBe('saved');
    expect(code).toBe(exitCode);
  });

  it('ends several processes at once on a second signal', async () => {
    program('mpirun', TRAINING.replace('sleep 0.3', 'trap "exit 9" TERM; while true; do sleep 0.05; done'));
    const options = { words: ['my.yaml'], env: { PROCESSES: '2' }, signals: ['SIGINT', 'SIGINT'] as const };
    expect(await run('train.sh', options)).toMatchObject({ code: 9 });
  });

  it('has the exit code of several processes', async () => {
    program('mpirun', 'exit 3');
    expect(await run('train.sh', { words: ['my.yaml'], env: { PROCESSES: '2' } })).toMatchObject({ code: 3 });
  });
});

describe('train-slurm.sh', () => {
  const words = ['my.yaml', '--no-head'];

  it('starts the tasks of the job with srun, each of them one process', async () => {
    program('node', `${PRINTING}\necho $UV_THREADPOOL_SIZE`);
    const env = { ...SLURM(), PROCESSES: '4' };
    const script = at('scripts', 'train.sh');
    expect(await run('train-slurm.sh', { words, env })).toEqual({
      code: 0,
      lines: [
        `srun --kill-on-bad-exit=1 --cpus-per-task=6 ${script} my.yaml --no-head`,
        'node bin/stmixer.js train --config-file my.yaml --resume --no-head',
        '6',
      ],
    });
  });

  it('lets the processes save before the time limit, and puts the job back into the queue', async () => {
    program('node', TRAINING);
    const { code, lines } = await run('train-slurm.sh', { words, env: SLURM(), signals: ['SIGUSR1'] });
    expect(lines.slice(-2)).toEqual(['saved', 'scontrol requeue 17']);
    expect(code).toBe(0);
  });

  it('does not put a job into the queue that fails while it saves', async () => {
    program('node', TRAINING.replace('exit 0', 'exit 4'));
    const { code, lines } = await run('train-slurm.sh', { words, env: SLURM(), signals: ['SIGUSR1'] });
    expect(lines.at(-1)).toBe('saved');
    expect(code).toBe(4);
  });

  it('waits for processes that Slurm ends, and does not put the job into the queue', async () => {
    // The processes get the signal from Slurm.
    program('node', 'touch started\nsleep 0.6\necho saved\nexit 143');
    const { code, lines } = await run('train-slurm.sh', { words, env: SLURM(), signals: ['SIGTERM'] });
    expect(lines.at(-1)).toBe('saved');
    expect(code).toBe(143);
  });

  it('says how to start it outside of Slurm', async () => {
    const { code, lines } = await run('train-slurm.sh', { words });
    expect(lines).toEqual([
      `usage: sbatch ${at('scripts', 'train-slurm.sh')} CONFIG [flags] [KEY VALUE ...]`,
    ]);
    expect(code).toBe(2);
  });

  it('asks Slurm for the signal that it waits for, and to append to the log', () => {
    const header = readFileSync('scripts/train-slurm.sh', 'utf8').match(/^#SBATCH .*$/gm);
    for (const line of ['--signal=B:USR1@300', '--requeue', '--open-mode=append'])
      expect(header).toContain(`#SBATCH ${line}`);
  });
});
