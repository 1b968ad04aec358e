/** @file Training repeats itself to the last bit: again, in another process, and after a restart. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { selectEngine } from '../../src/engine/index.js';
import { builtProgram } from '../support/built.js';
import { RECORDING_ENGINE, TEST_DEVICE } from '../support/engine.js';
import { temporaryFolder } from '../support/temporary_files.js';
import { TinyTraining, train } from '../support/tiny_training.js';

/** Several, so that threads can come in different orders; the same in all processes, since they share out sums. */
process.env.STMIXER_THREADS = '3';

const STEPS = 4;

interface Outcome {
  losses: number[][];
  fingerprint: string;
}

async function run(): Promise<Outcome> {
  const training = new TinyTraining();
  const losses = await train(training, STEPS);
  const fingerprint = training.fingerprint();
  training.dispose();
  return { losses, fingerprint };
}

async function runElsewhere(): Promise<Outcome> {
  const args = [builtProgram('tiny_training_process'), String(STEPS)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

let first: Outcome;

beforeAll(async () => {
  await selectEngine({ engine: RECORDING_ENGINE, device: TEST_DEVICE });
  first = await run();
});

it('training changes its weights in every step, and every loss is a number', () => {
  expect(first.losses).toHaveLength(STEPS);
  expect(first.losses.flat().every(Number.isFinite)).toBe(true);
  expect(new Set(first.losses.map(([total]) => total)).size).toBe(STEPS);
});

it('training gives the same bits again in the same process', async () => {
  expect(await run()).toEqual(first);
});

it('training gives the same bits in other processes, also when they compete for the processors', async () => {
  const others = await Promise.all([runElsewhere(), runElsewhere()]);
  expect(others).toEqual([first, first]);
});

it('training gives the same bits with a restart from a checkpoint halfway', async () => {
  const folder = temporaryFolder();
  const begun = new TinyTraining();
  const losses = await train(begun, 2);
  const path = await begun.save(folder);
  const saved = begun.fingerprint();
  begun.dispose();
  const continued = new TinyTraining();
  // What is there before must not matter.
  await train(continued, 1);
  continued.restore(folder, path);
  expect(continued.fingerprint()).toBe(saved);
  losses.push(...(await train(continued, STEPS - 2, 2)));
  expect({ losses, fingerprint: continued.fingerprint() }).toEqual(first);
  continued.dispose();
});
