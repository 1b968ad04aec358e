/** @file A Slurm job that reaches its time limit saves, goes back to the queue and continues there, with a stand-in for srun. */
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readJsonLines } from '../support/json_lines.js';
import { launchers } from '../support/mpi.js';
import { temporaryFiles } from '../support/temporary_files.js';

const { at, file } = temporaryFiles();

const SETTINGS = [
  'SOLVER.MAX_EPOCH',
  '5',
  'SOLVER.ITER_PER_EPOCH',
  '4',
  'SOLVER.LOG_PERIOD',
  '1',
  'DATALOADER.NUM_WORKERS',
  '1',
];

/** Makes a clone that has been built, and stand-ins for Slurm's programs. */
function makeClone(): void {
  file('package.json', '{ "type": "module" }');
  for (const folder of ['bin', 'scripts']) cpSync(folder, at(folder), { recursive: true });
  for (const folder of ['node_modules', 'config_files', 'sample']) symlinkSync(resolve(folder), at(folder));
  symlinkSync(resolve('.vitest'), at('dist'));
  mkdirSync(at('programs'));
  const { program, options } = launchers[0];
  // The processes see the variables of Slurm in place of those of mpirun.
  const task = `env -u OMPI_COMM_WORLD_SIZE -u MPI_LOCALRANKID \
SLURM_PROCID="\${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" SLURM_STEP_NUM_TASKS="$SLURM_NTASKS" "$@"`;
  file('programs/task', `#!/bin/bash\nexec ${task}\n`);
  file(
    'programs/srun',
    `#!/bin/bash\nshift 2\nexec ${program} ${options.join(' ')} -np "$SLURM_NTASKS" ${at('programs', 'task')} "$@"\n`,
  );
  file('programs/scontrol', '#!/bin/bash\necho "scontrol $*"\n');
  for (const name of ['task', 'srun', 'scontrol']) chmodSync(at('programs', name), 0o755);
}

/** Runs the job; sends SIGUSR1 to its script after the line of an iteration, as Slurm does before the time limit. */
async function runJob(restarts: number, iteration: number | null) {
  const words = ['config_files/tiny.yaml', '--skip-val-in-train', '--skip-final-test', '--overwrite'];
  const script = at('scripts', 'train-slurm.sh');
  const child = spawn('bash', [script, ...words, ...SETTINGS, 'OUTPUT_DIR', at('run')], {
    env: {
      ...process.env,
      PATH: `${at('programs')}:${process.env.PATH}`,
      SLURM_JOB_ID: '17',
      SLURM_NTASKS: '2',
      SLURM_CPUS_PER_TASK: '1',
      SLURM_SUBMIT_DIR: at(),
      SLURM_RESTART_COUNT: `${restarts}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let isSignalled = false;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output += text;
      if (isSignalled || !output.includes(` ${iteration}/20 `)) return;
      isSignalled = true;
      child.kill('SIGUSR1');
    });
  const code = await new Promise((done) => child.on('close', done));
  return { code, output };
}

describe.skipIf(launchers.length === 0)('a Slurm job of two processes', () => {
  it('continues where it was when its time was over', async () => {
    makeClone();
    const first = await runJob(0, 3);
    expect(first.code, first.output).toBe(0);
    expect(first.output).toContain('SIGUSR1: finishing this step and saving');
    expect(first.output).toContain('srun -n 2 stmixer train --config-file config_files/tiny.yaml');
    expect(first.output).toContain('\nscontrol requeue 17\n');
    const second = await runJob(1, null);
    expect(second.code, second.output).toBe(0);
    expect(second.output).not.toContain('scontrol');
    const iterations = readJsonLines<{ iteration: number }>(at('run', 'metrics.jsonl'));
    expect(iterations.map(({ iteration }) => iteration)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });
});
