#!/usr/bin/env node
/** @file Starts the built program. An old Node must be able to read this file, so that it can say that it is too old. */
// Node answers SIGUSR1 by opening its debugger on a port, through which other users of the machine could run code as this one.
// A listener prevents that, so it is installed before anything else. Hang-ups are held until it is known whether to ignore them.
const received = [];
const hold = (signal) => received.push(signal);
process.on('SIGUSR1', hold);
process.on('SIGHUP', hold);

const OLDEST = 20;
if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  console.error(`stmixer needs Node ${OLDEST} or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  import('../dist/cli/process/start.js')
    .then(({ start }) => start({ received, hold }))
    .catch((error) => {
      // start.js explains every error but those of its own loading.
      console.error(`stmixer cannot start: ${error.message}`);
      if (error.code === 'ERR_MODULE_NOT_FOUND')
        console.error('In a clone, run: npm run build. Otherwise install the package again.');
      if (error.code === 'EMFILE')
        console.error('Too many files are open: start it from a new shell, after: ulimit -n 1024');
      process.exitCode = 1;
    });
}
