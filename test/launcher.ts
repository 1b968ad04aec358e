/** @file The command line from its sources, whether or not they were built. */
import { main } from '../src/cli/main.js';

await main(process.argv);
