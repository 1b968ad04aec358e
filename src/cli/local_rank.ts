/** @file The number that torch.distributed.launch passes to each process. */
import { Option } from 'commander';

/** `--local_rank`, as torch.distributed.launch passes it, and `--local-rank`, as its newer releases do. */
export function localRankOption(): Option {
  return new Option(
    '--local-rank, --local_rank <number>',
    'ignored, so that command lines of torch.distributed.launch work; mpirun and srun number the processes',
  ).default(0);
}
