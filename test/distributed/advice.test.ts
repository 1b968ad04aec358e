/** @file Follows the advice of messages about several processes. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { MpiLauncher } from '../../tools/mpi/launchers.js';
import { type Advice, found, type Outcome } from '../e2e/advice/advice.js';
import { SETTINGS } from '../e2e/advice/training.js';
import { start } from '../support/cli.js';
import { launchers, startMpiRun } from '../support/mpi.js';
import { temporaryFiles, temporaryFolder } from '../support/temporary_files.js';

const STMIXER = fileURLToPath(new URL('../support/launcher.js', import.meta.url));
const LIBRARIES = { 'Open MPI': 'libmpi.so.40', MPICH: 'libmpich.so.12' };

/** The words of a training of one iteration by two processes. */
function words(folder: string, ...settings: string[]): string[] {
  return [
    ...['train', '--config-file', 'config_files/tiny.yaml', '--skip-val-in-train', '--skip-final-test'],
    ...SETTINGS,
    ...['SOLVER.VIDEOS_PER_BATCH', '2', 'OUTPUT_DIR', join(folder, 'run'), ...settings],
  ];
}

/** Starts two processes of Node. */
async function two(
  launcher: MpiLauncher,
  node: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const { code, stdout, stderr } = await startMpiRun(launcher, 2, node, env).finished;
  return { text: stdout + stderr, failed: code !== 0 };
}

async function alone(args: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const { code, stdout, stderr } = await start(args, env).finished;
  return { text: stdout + stderr, failed: code !== 0 };
}

function adviceUnder(launcher: MpiLauncher): Advice[] {
  const train = (folder: string, ...settings: string[]) =>
    two(launcher, [STMIXER, ...words(folder, ...settings)]);
  const trainWith = (library: string) => (folder: string) =>
    two(launcher, [STMIXER, ...words(folder)], { STMIXER_MPI: library });
  return [
    {
      says: 'torchrun or torch.distributed.launch has started this process',
      meet: (folder) => alone(words(folder), { WORLD_SIZE: '2' }),
      follow: (_, text) =>
        two(launcher, [STMIXER, ...found(text, /mpirun -np 2 stmixer (.*) \(under/).split(' ')]),
    },
    {
      says: 'Use a multiple of 2, or another number of processes',
      meet: (folder) => train(folder, 'SOLVER.VIDEOS_PER_BATCH', '3'),
      follow: (folder) => train(folder, 'SOLVER.VIDEOS_PER_BATCH', '4'),
    },
    {
      says: 'Set STMIXER_MPI to the libmpi.so that belongs to it',
      meet: trainWith('/nowhere/libmpi.so'),
      follow: trainWith(LIBRARIES[launcher.family]),
    },
    {
      says: 'start them with srun --mpi=pmix or --mpi=pmi2',
      meet: (folder) =>
        alone(words(folder), {
          SLURM_PROCID: '0',
          SLURM_STEP_NUM_TASKS: '2',
          STMIXER_MPI: LIBRARIES[launcher.family],
        }),
      // With its plug-in, srun connects the processes as mpirun does.
      follow: (folder) => train(folder),
    },
    {
      says: 'For a training of its own in each process, set STMIXER_MPI=none',
      meet: (folder) => two(launcher, [ownFolder(folder)]),
      follow: (folder) => two(launcher, [ownFolder(folder)], { STMIXER_MPI: 'none' }),
    },
    {
      says: '--replay runs as one process: start it without mpirun or srun',
      meet: async (folder) => {
        const { text } = await alone(words(folder, ...DIVERGING), {});
        return two(launcher, [STMIXER, ...replay(folder, found(text, /(\S+nonfinite_\d+\.pth)/))]);
      },
      follow: async (folder) => {
        const { text } = await alone(replay(folder, join(folder, 'run', 'nonfinite_0000002.pth')), {});
        return { text, failed: !/is not finite/.test(text) };
      },
    },
  ];
}

/** Weights overflow in the second iteration. */
const DIVERGING = 'SOLVER.BASE_LR 1e38 SOLVER.WARMUP_ON False SOLVER.ITER_PER_EPOCH 2'.split(' ');

const replay = (folder: string, file: string) => [
  'train',
  '--replay',
  file,
  ...words(folder, ...DIVERGING).slice(1),
];

const { file } = temporaryFiles();

/** A program that trains in a folder of its process. */
function ownFolder(folder: string): string {
  const rank = 'process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK';
  const args = JSON.stringify(words(folder));
  return file(
    'own_folder.mjs',
    `process.argv.splice(1, 1, 'stmixer', ...${args}, 'OUTPUT_DIR', ${JSON.stringify(folder)} + '/' + (${rank}));
     await import(${JSON.stringify(STMIXER)});`,
  );
}

async function expectHelp({ says, meet, follow }: Advice): Promise<void> {
  const folder = temporaryFolder();
  const { text } = await meet(folder);
  expect(text).toContain(says);
  const after = await follow(folder, text);
  expect(after.failed, after.text).toBe(false);
  expect(after.text).not.toContain(says);
}

describe.each(launchers.slice(0, 1))('the advice about several processes of $family', (launcher) => {
  it.each(adviceUnder(launcher))('works once it is followed: "$says"', expectHelp);
});

const mpich = launchers.find(({ family }) => family === 'MPICH');

describe.skipIf(!mpich)('the advice about MPICH', () => {
  it('not to start stmixer through Node works once it is followed', async () => {
    const launcher = mpich!;
    const wrapper = `
      import { spawnSync } from 'node:child_process';
      process.exitCode = spawnSync(process.execPath, process.argv.slice(2), { stdio: 'inherit' }).status;`;
    await expectHelp({
      says: 'Start node_modules/.bin/stmixer itself',
      meet: (folder) => two(launcher, [file('wrapper.mjs', wrapper), STMIXER, ...words(folder)]),
      follow: (folder) => two(launcher, [STMIXER, ...words(folder)]),
    });
  });
});

describe.skipIf(launchers.length < 2)('the advice about two MPIs', () => {
  it.each(launchers)('to use the library of $family works once it is followed', async (launcher) => {
    const other = launchers.find(({ family }) => family !== launcher.family)!;
    const train = (folder: string, library: string) =>
      two(launcher, [STMIXER, ...words(folder)], { STMIXER_MPI: library });
    await expectHelp({
      says: 'use the mpirun of this MPI, or set STMIXER_MPI to the libmpi.so of that mpirun',
      meet: (folder) => train(folder, LIBRARIES[other.family]),
      follow: (folder) => train(folder, LIBRARIES[launcher.family]),
    });
  });
});
