/** @file How this process was started: alone, or by mpirun, mpiexec or srun as one of several. */
import { ConfigError } from '../errors.js';
import { shellWord } from '../util/text.js';

/** The two families of MPI libraries, whose binary interfaces differ. Intel's, Cray's and MVAPICH belong to MPICH's. */
export type MpiFamily = 'Open MPI' | 'MPICH';

/** What the launcher of this process says about it. */
export interface Launch {
  /** The program that started the processes. */
  readonly launcher: 'mpirun' | 'srun';
  /** The family that the launcher belongs to; null for Slurm, which starts both. */
  readonly family: MpiFamily | null;
  readonly rank: number;
  readonly size: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A launcher, and the variables that it sets in each process. */
interface Variables extends Pick<Launch, 'launcher' | 'family'> {
  readonly rank: string;
  readonly size: string;
  /** A variable that the launcher sets in addition. */
  readonly mark?: string;
}

/**
 * The launchers in the order in which they are looked for. An mpirun in a job of Slurm starts its helpers on other
 * machines with srun, so its processes have Slurm's variables, too. Slurm's plug-in pmi2 sets PMI_RANK, but not
 * MPI_LOCALRANKID.
 */
const LAUNCHERS: readonly Variables[] = [
  { launcher: 'mpirun', family: 'Open MPI', rank: 'OMPI_COMM_WORLD_RANK', size: 'OMPI_COMM_WORLD_SIZE' },
  { launcher: 'mpirun', family: 'MPICH', rank: 'PMI_RANK', size: 'PMI_SIZE', mark: 'MPI_LOCALRANKID' },
  // Not SLURM_NTASKS, which a batch script has as well: it runs once.
  { launcher: 'srun', family: null, rank: 'SLURM_PROCID', size: 'SLURM_STEP_NUM_TASKS' },
  { launcher: 'mpirun', family: 'MPICH', rank: 'PMI_RANK', size: 'PMI_SIZE' },
];

/**
 * Reads the launcher's variables. Returns null for a process that was started alone, and with STMIXER_MPI=none. Throws
 * ConfigError, with the right command line, for a launcher of PyTorch that started several; `words` are those after
 * `stmixer`.
 */
export function detectLaunch(env: Environment, words = process.argv.slice(2)): Launch | null {
  if (env.STMIXER_MPI === 'none') return null;
  // Inside a job of Slurm, torchrun is the one that started this process.
  if (env.TORCHELASTIC_RUN_ID !== undefined) refuseTorchLauncher(env, words);
  for (const { launcher, family, mark, ...names } of LAUNCHERS) {
    const [rank, size] = [wholeNumber(env[names.rank]), wholeNumber(env[names.size])];
    if (rank === null || size === null || (mark && env[mark] === undefined)) continue;
    // A launcher in a job of another one leaves the other's variables in place, with one process.
    if (size > 1) return { launcher, family, rank, size };
  }
  refuseTorchLauncher(env, words);
  return null;
}

function refuseTorchLauncher(env: Environment, words: readonly string[]): void {
  const size = wholeNumber(env.WORLD_SIZE);
  if (size === null || size <= 1) return;
  const command = ['stmixer', ...withoutLocalRank(words)].map(shellWord).join(' ');
  throw new ConfigError(
    `WORLD_SIZE is ${size}: torchrun or torch.distributed.launch has started this process, but stmixer needs a launcher of MPI. ` +
      `Start it with: mpirun -np ${size} ${command} (under Slurm, with srun -n ${size} in place of mpirun -np ${size})`,
  );
}

/** Leaves out `--local_rank 0` and `--local-rank=0`, which only torch.distributed.launch adds. */
function withoutLocalRank(words: readonly string[]): string[] {
  const isFlag = (word: string | undefined) => word !== undefined && /^--local[_-]rank$/.test(word);
  return words.filter((word, i) => !isFlag(word) && !isFlag(words[i - 1]) && !/^--local[_-]rank=/.test(word));
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text.trim()) ? Number(text) : null;
}
