/** @file The command line as test/build.ts has compiled it. */
import { main } from '../.vitest/cli/main.js';

await main(process.argv);
