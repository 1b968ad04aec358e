/** @file `npm run setup:tensorflow`: starts the built set-up. */
import { buildIfMissing } from './build.js';

buildIfMissing();
import('../dist/setup_tensorflow/main.js').catch((error) => {
  console.error(`setup: failed: ${error.message}`);
  if (error.code === 'ERR_MODULE_NOT_FOUND')
    console.error('In a clone, run: npm run build. Otherwise install the package again.');
  process.exitCode = 1;
});
