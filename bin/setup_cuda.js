/** @file `npm run setup:cuda`: starts the built set-up. */
import { buildIfMissing } from './build.js';

buildIfMissing();
import('../dist/setup_cuda/main.js').catch((error) => {
  console.error(`setup: failed: ${error.message}`);
  if (error.code === 'ERR_MODULE_NOT_FOUND')
    console.error('In a clone, run: npm run build. Otherwise install the package again.');
  process.exitCode = 1;
});
