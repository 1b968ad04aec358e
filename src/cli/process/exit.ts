/** @file Ending the process while the system still holds some of its threads. */

/**
 * Ends the process at once. process.exit waits for reads that hang in the system, on a share that is away for example, and
 * a run that was told to stop has saved what it had.
 */
export async function exitAtOnce(code: number): Promise<never> {
  if (process.platform === 'linux') {
    const { default: koffi } = await import('koffi');
    koffi.load('libc.so.6').func('void _exit(int status)')(code);
  }
  return process.exit(code);
}
