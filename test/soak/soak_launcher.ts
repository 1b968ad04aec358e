/**
 * @file The command line, with threads that load clips as `soak_clip_worker.ts` does; SIGWINCH kills one of them, if possible
 * one that is at work, and says so on stderr.
 */
import { syncBuiltinESMExports } from 'node:module';
import workerThreads, { type Worker, type WorkerOptions } from 'node:worker_threads';
import type { WorkerData } from '../../src/data/loading/worker_loop.js';

const CLIP_WORKER = /\/data\/loading\/worker\.ts$/;
const SLOW_WORKER = new URL('soak_clip_worker.ts', import.meta.url);

const clipWorkers = new Map<Worker, WorkerData>();

workerThreads.Worker = class extends workerThreads.Worker {
  constructor(program: string | URL, options: WorkerOptions = {}) {
    const isClipWorker = CLIP_WORKER.test(String(program));
    super(isClipWorker ? SLOW_WORKER : program, options);
    if (!isClipWorker) return;
    clipWorkers.set(this, options.workerData as WorkerData);
    this.on('exit', () => clipWorkers.delete(this));
  }
};
syncBuiltinESMExports();

const isAtWork = ({ loading }: WorkerData) => Atomics.load(loading, 0) !== 0;

process.on('SIGWINCH', () => {
  const all = [...clipWorkers];
  const [worker, data] = all.find((entry) => isAtWork(entry[1])) ?? all[0] ?? [];
  if (!worker || !data) return;
  process.stderr.write(`killed a thread ${isAtWork(data) ? 'at work' : 'at rest'}\n`);
  worker.terminate();
});

// Only now, for its modules take their threads from node:worker_threads as it is.
const { main } = await import('../../src/cli/main.js');
await main(process.argv);
