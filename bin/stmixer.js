#!/usr/bin/env node
/** @file Launcher. An old Node must be able to read this file, so that it can say what it is too old for. */
const OLDEST = 20;
if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  console.error(`stmixer needs Node ${OLDEST} or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  import('./start.js').catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
