/** @file What the launchers of PyTorch pass to each process. Only one process is supported. */
import { Option } from 'commander';
import { ConfigError } from '../errors.js';

/** `--local_rank`, as torch.distributed.launch passes it, and `--local-rank`, as its newer releases do. */
export function localRankOption(): Option {
  return new Option(
    '--local-rank, --local_rank <number>',
    'ignored; torch.distributed.launch sets it (one process only)',
  ).default(0);
}

/**
 * Throws ConfigError under a launcher that starts a process per GPU, since all processes would do the same. `work` and `once`
 * name it, e.g. "training" and "run".
 */
export function refuseSeveralProcesses(work: string, once: string): void {
  const worldSize = process.env.WORLD_SIZE;
  if (worldSize === undefined || Number(worldSize) === 1) return;
  throw new ConfigError(
    `WORLD_SIZE is ${worldSize}: ${work} on several processes is not supported yet, and this would do the same ` +
      `${once} ${worldSize} times. Start one process, without the launcher (or with --nproc_per_node=1).`,
  );
}
