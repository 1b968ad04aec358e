/** @file `npm run dev -- COMMAND …`: runs the command line from its sources, without a build. */
import './typescript_threads.mjs';
import { main } from '../src/cli/main.js';

await main(process.argv);
