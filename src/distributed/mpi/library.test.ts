/** @file The MPI library is the one that belongs to the launcher. */
import { describe, expect, it } from 'vitest';
import { type FakeMachine, fakeProbe } from '../../../test/support/fake_probe.js';
import { mpiCandidates } from './library.js';

const OPEN_MPI = ['libmpi.so.40', 'libmpi.so.80', 'libmpi.so.20'];
const ANY = ['libmpi.so', 'libmpi.dylib'];

/** A machine on which the program of the process above this one is `launcher`. */
function machine(
  files: readonly string[],
  { launcher, env }: { launcher?: string; env?: FakeMachine['env'] } = {},
) {
  const probe = fakeProbe({ files: Object.fromEntries(files.map((file) => [file, ''])), env });
  const readLink = (path: string) => (path === `/proc/${process.ppid}/exe` ? (launcher ?? null) : null);
  return { ...probe, readLink };
}

describe('the candidates', () => {
  it('of a family are its names, first those with a version', () => {
    const probe = machine([]);
    const openMpi = mpiCandidates({ probe, launch: { family: 'Open MPI' } });
    expect(openMpi).toEqual([...OPEN_MPI, ...ANY]);
    const mpich = mpiCandidates({ probe, launch: { family: 'MPICH' } });
    expect(mpich).toContain('libmpich.so.12');
    expect(mpich.slice(-ANY.length)).toEqual(ANY);
    expect(mpich.filter((name) => OPEN_MPI.includes(name))).toEqual([]);
  });

  it('are STMIXER_MPI alone if it is set', () => {
    const probe = machine(['/opt/mpi/lib/libmpi.so.40'], {
      launcher: '/opt/mpi/bin/mpirun',
      env: { STMIXER_MPI: '/my/libmpi.so' },
    });
    expect(mpiCandidates({ probe, launch: { family: 'Open MPI' } })).toEqual(['/my/libmpi.so']);
  });

  it.each(['mpirun', 'orterun', 'orted', 'prterun', 'mpiexec.hydra', 'hydra_pmi_proxy'])(
    'begin with the files beside %s, if it started this process',
    (name) => {
      const found = ['/opt/mpi/lib/libmpi.so', '/opt/mpi/lib64/libmpi.so.40'];
      const probe = machine([...found, '/opt/mpi/lib/libmpi.so.12'], { launcher: `/opt/mpi/bin/${name}` });
      expect(mpiCandidates({ probe, launch: { family: 'Open MPI' } }).slice(0, 3)).toEqual([
        ...found,
        'libmpi.so.40',
      ]);
    },
  );

  it('do not come from beside another program', () => {
    const probe = machine(['/opt/mpi/lib/libmpi.so.40'], { launcher: '/opt/mpi/bin/bash' });
    expect(mpiCandidates({ probe, launch: { family: 'Open MPI' } })).toEqual([...OPEN_MPI, ...ANY]);
  });

  it('under Slurm begin with the files beside the mpirun on the PATH, of either family', () => {
    const probe = machine(
      ['/opt/mpich/bin/mpirun', '/opt/mpich/lib/libmpi.so.12', '/opt/ompi/lib/libmpi.so.40'],
      {
        env: { PATH: '/usr/bin:/opt/mpich/bin:/opt/ompi/bin' },
      },
    );
    const [first, ...names] = mpiCandidates({ probe, launch: { family: null } });
    expect(first).toBe('/opt/mpich/lib/libmpi.so.12');
    expect(names).toEqual([...OPEN_MPI, ...names.filter((name) => name.includes('.so.12')), ...ANY]);
  });
});
