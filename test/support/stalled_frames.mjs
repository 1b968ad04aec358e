/**
 * @file Preloaded into a process for which frames do not come: opening one waits for the other end of the pipe STALLED_PIPE, as it
 * waits for a network share that is away.
 */

import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const { open } = promises;
promises.open = (path, ...rest) =>
  String(path).endsWith('.jpg') ? open(process.env.STALLED_PIPE, 'r') : open(path, ...rest);
syncBuiltinESMExports();
