/** @file Where test/support/build.ts puts the program, and the programs of test/support that run outside the test's thread. */
import { fileURLToPath } from 'node:url';

/** Lies in the repository's root, like `dist`, so that the program finds package.json. */
export const BUILT = fileURLToPath(new URL('../../.vitest', import.meta.url));

/** The path of a program of test/support, such as `saving_process`, as JavaScript: it starts a second sooner than with tsx. */
export function builtProgram(name: string): string {
  return `${BUILT}/support/${name}.js`;
}
