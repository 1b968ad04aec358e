/** @file Why this machine has no GPU, not even a software GPU. As a program, it prints the reason and fails if there is one. */
import { pathToFileURL } from 'node:url';
import { Gpus } from '../../src/engine/gpu/gpus.js';
import { machineProbe } from '../../src/engine/probe.js';
import { problemText } from '../../src/engine/problem.js';

const problems = new Gpus(machineProbe()).problems({ index: null, isRequired: true });

/** Empty if there is a GPU. */
export const MISSING_GPU = problems.map(problemText).join('; ');

if (import.meta.url === pathToFileURL(process.argv[1]).href && MISSING_GPU) {
  console.log(MISSING_GPU);
  process.exitCode = 1;
}
