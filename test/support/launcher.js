/** @file The command line as test/build.ts has compiled it, started as bin/stmixer.js starts it. */
import { start } from '../../bin/start.js';

const received = [];
const hold = (signal) => received.push(signal);
process.on('SIGUSR1', hold);
process.on('SIGHUP', hold);
await start({ received, hold, load: () => import('../../.vitest/cli/main.js') });
