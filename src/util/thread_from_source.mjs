/** @file Starts a worker thread from TypeScript: tsx, if the main thread runs under it, does not reach into threads. */
import { workerData } from 'node:worker_threads';
import { tsImport } from 'tsx/esm/api';

await tsImport(workerData.program, import.meta.url);
