#!/usr/bin/env node
/** @file Launcher. An old Node must be able to read this file, so that it can say what it is too old for. */
// Node answers SIGUSR1 by opening its debugger on a port, through which other users of the machine could run code as this one.
// A listener prevents that, so it is installed before anything else. Hang-ups are kept until it is known whether to ignore them.
const received = [];
const hold = (signal) => received.push(signal);
process.on('SIGUSR1', hold);
process.on('SIGHUP', hold);

const OLDEST = 20;
if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  console.error(`stmixer needs Node ${OLDEST} or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  import('./start.js')
    .then(({ start }) => start({ received, hold }))
    .catch((error) => {
      // Only a launcher that cannot be read ends here; start.js explains everything else.
      console.error(`stmixer cannot start: ${error.message}`);
      if (error.code === 'EMFILE')
        console.error('Too many open files: start it from a new shell, after: ulimit -n 1024');
      process.exitCode = 1;
    });
}
