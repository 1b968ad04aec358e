/** @file Advice about the machine, and about parts of the program that are missing. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { AvaDataset } from '../../../src/data/datasets/ava_dataset.js';
import { machineReport } from '../../../src/engine/machine_report.js';
import { skipNameWarnings } from '../../../src/solver/skip_names.js';
import { workerWarnings } from '../../../src/training/worker_warning.js';
import { makeAvaFolder } from '../../support/ava_folder.js';
import { launch } from '../../support/cli.js';
import { fakeProbe } from '../../support/fake_probe.js';
import { bareParameter, fakeModel, solverConfig } from '../../support/solver_fixtures.js';
import { type Advice, found, type Outcome, outcomeOf, withEnv } from './advice.js';

/** `stmixer --version` after commands of the shell. */
function afterShell(commands: string): Outcome {
  const { program, words } = launch(['--version']);
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', `${commands}; exec "$@"`, 'sh', program, ...words],
    {
      encoding: 'utf8',
    },
  );
  return { text: stdout + stderr, failed: status !== 0 };
}

const skipped = (names: string[]) =>
  outcomeOf(() =>
    skipNameWarnings(
      solverConfig({ 'ViT.NO_WEIGHT_DECAY': names }),
      fakeModel([['backbone.blocks.0.norm1.weight', bareParameter([2])]]),
    ).join('\n'),
  );

const workers = (number: number) =>
  outcomeOf(() => workerWarnings(number, 1, fakeProbe({ processors: 2 })).join('\n'));

const report = (TMPDIR: string) =>
  withEnv({ TMPDIR }, () =>
    outcomeOf(async () => (await machineReport(fakeProbe())).map(({ text }) => text).join('\n')),
  );

/** Opens a data set whose frames are in another folder than FRAME_DIR says. */
async function openFrames(changes: Record<string, unknown>): Promise<Outcome> {
  const ava = await makeAvaFolder({
    videos: { a: { frames: 6, width: 40, height: 24 } },
    annotations: ['a,902,0.1,0.2,0.5,0.8,1,0'],
  });
  return outcomeOf(() => void AvaDataset.open(ava.config(changes), 'train'));
}

export const MACHINE: readonly Advice[] = [
  {
    says: 'Start it from a new shell after: ulimit -n 1024',
    meet: () => afterShell('ulimit -n 30'),
    follow: (_, text) => afterShell(found(text, /after: (ulimit -n \d+)/)),
  },
  {
    says: 'the name of no parameter of the backbone',
    meet: () => skipped(['blocks.0.norm1.wieght']),
    follow: (_, text) => skipped([found(text, /write (\S+)/)]),
  },
  {
    says: 'starts more threads than the ',
    meet: () => workers(8),
    follow: (_, text) => workers(Number(found(text, /Set DATALOADER\.NUM_WORKERS (\d+)/))),
  },
  {
    says: 'detect needs it for videos: set TMPDIR',
    meet: (folder) => report(join(folder, 'none')),
    follow: (folder) => report(folder),
  },
  {
    says: 'there is no such folder; it must be in the folder of the data set, DATA.PATH_TO_DATA_DIR',
    meet: () => openFrames({ 'AVA.FRAME_DIR': 'pictures-of-videos' }),
    follow: () => openFrames({ 'AVA.FRAME_DIR': 'frames' }),
  },
];
