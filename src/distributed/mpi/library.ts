/** @file Finds the MPI library that belongs to the launcher of this process. */
import { basename, delimiter, dirname, join } from 'node:path';
import type { Probe } from '../../engine/probe.js';
import { processStat } from '../../util/process_stat.js';
import type { Launch, MpiFamily } from '../launch.js';

/** Names of the libraries of each family: first those that name their binary interface. */
const NAMES: Readonly<Record<MpiFamily, readonly string[]>> = {
  'Open MPI': ['libmpi.so.40', 'libmpi.so.80', 'libmpi.so.20'],
  MPICH: ['libmpi.so.12', 'libmpich.so.12', 'libmpi_intel.so.12', 'libmpi_cray.so.12', 'libmpi_gnu_91.so.12'],
};
/** The name without a version belongs to either family. */
const ANY = ['libmpi.so', 'libmpi.dylib'];
/** Programs that start processes, and their helpers on each machine. */
const LAUNCHERS = /^(mpirun|mpiexec|orterun|prterun|orted|prted|hydra_pmi_proxy)/;

export interface MpiSearch {
  readonly probe: Pick<Probe, 'env' | 'exists' | 'readLink'>;
  readonly launch: Pick<Launch, 'family'>;
  /** Number of the process whose ancestors are searched for the launcher. */
  readonly pid?: number;
}

/**
 * Paths and names under which the library may be found, the best one first: STMIXER_MPI alone if it is set; else beside
 * the launcher that started this process, then wherever the loader looks. Slurm's launcher belongs to no library; there
 * the mpirun on the PATH tells which one the user has chosen, for example by loading a module.
 */
export function mpiCandidates({ probe, launch, pid = process.ppid }: MpiSearch): string[] {
  const { STMIXER_MPI } = probe.env;
  if (STMIXER_MPI) return [STMIXER_MPI];
  const names = [...(launch.family ? NAMES[launch.family] : [...NAMES['Open MPI'], ...NAMES.MPICH]), ...ANY];
  const launchers = launch.family ? launcherFolders(probe, pid) : foldersOnPath(probe);
  const folders = launchers.flatMap((bin) => ['lib', 'lib64'].map((lib) => join(dirname(bin), lib)));
  const besideLauncher = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [...besideLauncher.filter((path) => probe.exists(path)), ...names];
}

/** Folders of the launchers among the ancestors of a process. */
function launcherFolders(probe: MpiSearch['probe'], pid: number): string[] {
  const folders: string[] = [];
  for (let parent = pid; parent > 1; ) {
    const program = probe.readLink(`/proc/${parent}/exe`);
    if (program !== null && LAUNCHERS.test(basename(program))) folders.push(dirname(program));
    const stat = processStat(parent);
    if (!stat) break;
    parent = stat.parent;
  }
  return folders;
}

/** Folders on the PATH that have an mpirun. */
function foldersOnPath({ env, exists }: MpiSearch['probe']): string[] {
  return (env.PATH ?? '').split(delimiter).filter((folder) => exists(join(folder, 'mpirun')));
}
