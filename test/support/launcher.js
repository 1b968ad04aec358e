/** @file Starts the command line as test/support/build.ts has compiled it, in the way of bin/stmixer.js. */
import { start } from '../../.vitest/cli/process/start.js';

const received = [];
const hold = (signal) => received.push(signal);
process.on('SIGUSR1', hold);
process.on('SIGHUP', hold);
await start({ received, hold });
