/** @file `npm run setup:tensorflow`: its flags. */
import { parseArgs } from 'node:util';
import { machineProbe } from '../../src/engine/probe.js';
import { UserError } from '../../src/errors.js';
import { setupTensorflow } from './setup.js';

const HELP = `Sets up the tensorflow engine: puts libtensorflow beside tfjs-node and builds its native part.

  npm run setup:tensorflow [-- FLAGS]

  --gpu          for CUDA: the package tfjs-node-gpu (Linux x64) instead of tfjs-node
  --from PATH    libtensorflow from here instead of from pip: a folder with include/ and lib/, the tensorflow folder
                 of a Python's site-packages, a tensorflow wheel, or a folder of wheels
  --download     the npm package's own files (TensorFlow 2.9.1) instead of pip's
  --force        do everything anew
  --help

Needs a C++ compiler and, without --from, Python with pip and 1.3 GiB of disk (10 GiB with --gpu) until it is done.
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      gpu: { type: 'boolean', default: false },
      from: { type: 'string' },
      download: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (values.from !== undefined && values.download)
    throw new UserError('--from and --download exclude each other');
  const { gpu, from, download, force } = values;
  await setupTensorflow(machineProbe(), { gpu, from, download, force }, (line) =>
    console.log(`setup: ${line}`),
  );
}

main().catch((error: unknown) => {
  const known = error instanceof UserError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(known ? `setup: failed: ${(error as Error).message}` : error);
  process.exitCode = 1;
});
