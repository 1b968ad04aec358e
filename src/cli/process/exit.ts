/** @file Ends the process while some of its threads hang in the system. */

/**
 * Ends the process at once. `process.exit` would wait for reads that hang in the system, for example on a network share
 * that is unmounted. A run that was stopped has already saved everything.
 */
export async function exitAtOnce(code: number): Promise<never> {
  if (process.platform === 'linux') {
    const { default: koffi } = await import('koffi');
    koffi.load('libc.so.6').func('void _exit(int status)')(code);
  }
  return process.exit(code);
}
