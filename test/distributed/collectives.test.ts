/** @file The collective operations of both families of MPI give what one process computes. */
import { describe, expect, it } from 'vitest';
import { builtProgram } from '../support/built.js';
import { launchers, startMpiRun } from '../support/mpi.js';

describe.each(launchers)('$family', (launcher) => {
  it.each([2, 3])('computes with %i processes', async (count) => {
    const run = startMpiRun(launcher, count, [builtProgram('collectives_process')]);
    const { code, stdout, stderr } = await run.finished;
    expect(stderr).toBe('');
    const lines = Array.from({ length: count }, (_, rank) => `process ${rank}: all right`);
    expect(stdout.trim().split(/\r?\n/).sort()).toEqual(lines);
    expect(code).toBe(0);
  });
});

it.skipIf(launchers.length > 0)('needs an MPI launcher, which is not installed', () => {});
