#!/usr/bin/env node
/** @file Starts the built program. Old releases of Node must be able to read this file, to report that they are too old. */
// On SIGUSR1, Node opens its debugger on a port, through which other users of the machine could run code as this user. A listener
// prevents that, so it comes before everything else. Hang-ups are held until it is known whether to ignore them.
const received = [];
const hold = (signal) => received.push(signal);
process.on('SIGUSR1', hold);
process.on('SIGHUP', hold);

// Keep in step with "engines" in package.json. util.styleText needs this release.
const OLDEST = [20, 12];
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(`stmixer needs Node ${OLDEST.join('.')} or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  import('./build.js')
    .then(({ buildIfMissing }) => buildIfMissing())
    .then(() => import('../dist/cli/process/start.js'))
    .then(({ start }) => start({ received, hold }))
    .catch((error) => {
      // start.js explains all errors except those that occur while it is loaded itself.
      console.error(`stmixer cannot start: ${error.message}`);
      if (error.code === 'ERR_MODULE_NOT_FOUND')
        console.error('In a clone, run: npm run build. Otherwise install the package again.');
      if (error.code === 'EMFILE')
        console.error('Too many files are open: start it from a new shell, after: ulimit -n 1024');
      process.exitCode = 1;
    });
}
