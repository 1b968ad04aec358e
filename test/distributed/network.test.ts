/** @file Two machines, whose network fails. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { launchers } from '../support/mpi.js';
import {
  lastIteration,
  outcomeOf,
  stmixerTogether,
  trainingArgs,
  WatchedTraining,
  WITHOUT_EVALUATION,
} from '../support/mpi_training.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { missingNamespaces, TwoMachines } from '../support/two_machines.js';

const openMpi = launchers.find(({ family }) => family === 'Open MPI');
const missing = openMpi ? missingNamespaces() : 'Open MPI is not installed';

// A test starts up to two runs.
vi.setConfig({ testTimeout: 240_000 });

describe.skipIf(missing !== null)('two machines', () => {
  let machines: TwoMachines;
  let folder: string;
  beforeAll(() => {
    folder = temporaryFolderOfFile();
    machines = new TwoMachines();
  });
  afterAll(() => machines?.close());

  const at = (name: string) => join(folder, name);
  const args = (name: string, overrides: string) =>
    trainingArgs(at(name), overrides, [...WITHOUT_EVALUATION, '--resume']);
  /** Trains until the network between the machines fails. */
  async function cutOff(overrides: string, keepaliveSeconds: number): Promise<WatchedTraining> {
    await machines.mendCable();
    // More epochs than it will come to.
    const words = args('run', `SOLVER.MAX_EPOCH 500 ${overrides}`);
    const run = new WatchedTraining(at('run'), machines.launcher(keepaliveSeconds), words);
    await run.says(/saved .*model_\d+/);
    machines.cutCable();
    return run;
  }

  it('end if the network between them fails, each with a message', async () => {
    const [a, b] = machines.names;
    const run = await cutOff('SOLVER.COLLECTIVE_TIMEOUT 8', 300);
    await run.processesEnded(60_000);
    // Open MPI itself waits longer.
    machines.killAll();
    const { stderr } = await run.ended();
    const reason = (rank: number, machine: string) =>
      new RegExp(`COLLECTIVE_TIMEOUT allows: there is no answer from process ${rank} on ${machine}: `);
    expect(stderr).toMatch(reason(1, b));
    expect(readFileSync(join(at('run'), 'log.rank1.jsonl'), 'utf8')).toMatch(reason(0, a));
    expect(lastIteration(at('run'))).toBeGreaterThanOrEqual(2);
  });

  it('end if Open MPI notices it first', async () => {
    const run = await cutOff('', 2);
    const { code, stderr } = await run.ended();
    expect(code).not.toBe(0);
    expect(stderr).toContain('lost communication with a remote daemon');
    await vi.waitFor(() => expect(machines.processes()).toEqual([]), { timeout: 30_000, interval: 100 });
  });

  it('go on when it works again', async () => {
    await machines.mendCable();
    const more = `SOLVER.MAX_EPOCH ${Math.ceil(lastIteration(at('run')) / 2) + 1}`;
    for (const [launcher, name] of [
      [machines.launcher(300), 'run'],
      [openMpi ?? null, 'whole'],
    ] as const) {
      const { code, stderr } = await stmixerTogether(launcher, args(name, more));
      expect(code, stderr).toBe(0);
    }
    expect(outcomeOf(at('run')).losses).toEqual(outcomeOf(at('whole')).losses);
  });
});

it.skipIf(missing === null)(`needs Open MPI and network namespaces (${missing})`, () => {});
