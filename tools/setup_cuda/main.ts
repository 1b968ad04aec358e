/** @file `npm run setup:cuda`: its flags. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CUDA_MAJORS, type CudaMajor, ownLibraries } from '../../src/engine/cuda/libraries.js';
import { readDriverVersion } from '../../src/engine/cuda/load.js';
import { machineProbe } from '../../src/engine/probe.js';
import { UserError } from '../../src/errors.js';
import { setupCuda } from './setup.js';
import { tryLibraries } from './trial.js';

const HELP = `Sets up the cuda engine: puts NVIDIA's NVRTC, cuBLASLt, cuDNN and NCCL in this package's folder deps/cuda.

  npm run setup:cuda [-- FLAGS]

  --cuda 12|13      the version of CUDA; by default the newest that the driver and the GPU support
  --wheels FOLDER   NVIDIA's wheels from here instead of from pip
  --force           do everything anew
  --help

Needs Linux and, without --wheels, Python with pip and about 2.6 GB of disk until it is done. Machines with a CUDA toolkit and
cuDNN, or with PyTorch for CUDA, need no set-up.
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cuda: { type: 'string' },
      wheels: { type: 'string' },
      force: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const major = CUDA_MAJORS.find((number) => String(number) === values.cuda);
  if (values.cuda !== undefined && !major) throw new UserError(`--cuda ${values.cuda}: expected 12 or 13`);
  const machine = { probe: machineProbe(), driverVersion: readDriverVersion, tryLibraries };
  const folder = ownLibraries(fileURLToPath(new URL('../..', import.meta.url)));
  const { wheels, force } = values;
  await setupCuda(machine, { folder, cuda: major as CudaMajor | undefined, wheels, force }, (line) =>
    console.log(`setup: ${line}`),
  );
}

main().catch((error: unknown) => {
  const known = error instanceof UserError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(known ? `setup: failed: ${(error as Error).message}` : error);
  process.exitCode = 1;
});
