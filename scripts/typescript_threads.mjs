/**
 * @file Lets worker threads run TypeScript. Programs that run under tsx import it, because tsx serves the main thread
 * only. The built program needs none of this.
 */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  // Node reads this variable anew for each thread.
  const others = process.env.NODE_OPTIONS ?? '';
  if (!others.includes(import.meta.url)) process.env.NODE_OPTIONS = `${others} --import ${import.meta.url}`;
} else if (process.argv[1]?.endsWith('.ts')) {
  const { register } = await import('tsx/esm/api');
  register();
}
